package images

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// largest bounds an image's file, in bytes; providers take less.
const largest = 20 << 20

// URLs makes URLs of images: one that is a URL stays, a file, relative to a
// folder, becomes a data: URL.
func URLs(dir string, images []string) ([]string, error) {
	var urls []string
	for _, image := range images {
		low := strings.ToLower(image)
		if !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "http://") && !strings.HasPrefix(low, "data:image/") {
			if !filepath.IsAbs(image) {
				image = filepath.Join(dir, image)
			}
			var err error
			if image, err = data(image); err != nil {
				return nil, fmt.Errorf("image: %w", err)
			}
		}
		urls = append(urls, image)
	}
	return urls, nil
}

func data(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return "", err
	}
	if len(content) > largest {
		return "", fmt.Errorf("%s is larger than %d MiB", path, largest>>20)
	}
	switch kind := http.DetectContentType(content); kind {
	case "image/png", "image/jpeg", "image/webp", "image/gif":
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content), nil
	}
	return "", fmt.Errorf("%s is no png, jpeg, webp or gif", path)
}
