package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// maxImage bounds an image's file, in bytes; providers take less.
const maxImage = 20 << 20

// imageURLs makes URLs of images: one that is a URL stays, a file, relative to a
// folder, becomes a data: URL.
func imageURLs(dir string, images []string) ([]string, error) {
	var urls []string
	for _, image := range images {
		low := strings.ToLower(image)
		if !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "http://") && !strings.HasPrefix(low, "data:image/") {
			if !filepath.IsAbs(image) {
				image = filepath.Join(dir, image)
			}
			var err error
			if image, err = imageData(image); err != nil {
				return nil, fmt.Errorf("image: %w", err)
			}
		}
		urls = append(urls, image)
	}
	return urls, nil
}

func imageData(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxImage+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxImage {
		return "", fmt.Errorf("%s is larger than %d MiB", path, maxImage>>20)
	}
	switch kind := http.DetectContentType(data); kind {
	case "image/png", "image/jpeg", "image/webp", "image/gif":
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data), nil
	}
	return "", fmt.Errorf("%s is no png, jpeg, webp or gif", path)
}
