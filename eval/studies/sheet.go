package studies

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gnothi/internal/jsonl"
)

// maxSheet bounds a part of a workbook when it is unpacked, in bytes.
const maxSheet = 256 << 20

// eachSheetRow calls use with every row of the first sheet of a workbook (.xlsx),
// whose first row names the columns. Of the columns named here all must be there;
// row gives them in this order, an empty cell as "".
func eachSheetRow(path string, columns []string, use func(line int, row []string) error) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("%s: no workbook: %w", path, err)
	}
	defer z.Close()
	var shared struct {
		Items []struct {
			Text string `xml:"t"`
			Runs []struct {
				Text string `xml:"t"`
			} `xml:"r"` // a text of several styles
		} `xml:"si"`
	}
	if err := part(&z.Reader, "xl/sharedStrings.xml", &shared); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var sheet struct {
		Rows []struct {
			Number int `xml:"r,attr"`
			Cells  []struct {
				Place  string `xml:"r,attr"` // such as B12
				Kind   string `xml:"t,attr"`
				Value  string `xml:"v"`
				Inline string `xml:"is>t"`
			} `xml:"c"`
		} `xml:"sheetData>row"`
	}
	if err := part(&z.Reader, "xl/worksheets/sheet1.xml", &sheet); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at := make([]string, len(columns)) // the letters of each column
	for i, r := range sheet.Rows {
		bad := func(err error) error { return &jsonl.LineError{File: path, Line: r.Number, Err: err} }
		cells := map[string]string{}
		for _, c := range r.Cells {
			value := c.Value
			switch c.Kind {
			case "s":
				k, err := strconv.Atoi(c.Value)
				if err != nil || k < 0 || k >= len(shared.Items) {
					return bad(fmt.Errorf("cell %s: there is no text number %q", c.Place, c.Value))
				}
				value = shared.Items[k].Text
				for _, run := range shared.Items[k].Runs {
					value += run.Text
				}
			case "inlineStr":
				value = c.Inline
			}
			cells[strings.TrimRight(c.Place, "0123456789")] = value
		}
		if i == 0 {
			for letters, name := range cells {
				if k := slices.Index(columns, name); k >= 0 {
					at[k] = letters
				}
			}
			if k := slices.Index(at, ""); k >= 0 {
				return bad(fmt.Errorf("no column %q", columns[k]))
			}
			continue
		}
		row := make([]string, len(columns))
		for k, letters := range at {
			row[k] = cells[letters]
		}
		if err := use(r.Number, row); err != nil {
			return bad(err)
		}
	}
	if len(sheet.Rows) < 2 {
		return fmt.Errorf("%s: %w", path, errEmpty)
	}
	return nil
}

// part reads a part of a workbook.
func part(z *zip.Reader, name string, into any) error {
	f, err := z.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSheet+1))
	if err == nil && len(b) > maxSheet {
		err = errors.New("too large")
	}
	if err == nil {
		err = xml.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
