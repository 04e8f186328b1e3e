package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// clip is what the program writes: an MP4 file or a folder of PNG files. It gets its name when it is complete.
type clip struct {
	path       string
	partial    string
	file       *os.File // nil for a folder
	frameCount int
}

func openClip(path string) (*clip, error) {
	out := &clip{path: path, partial: fmt.Sprintf("%s.%d.partial", path, os.Getpid())}
	var err error
	if strings.HasSuffix(path, ".mp4") {
		out.file, err = os.OpenFile(out.partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	} else {
		err = os.Mkdir(out.partial, 0o777)
	}
	return out, err
}

func (out *clip) isVideo() bool { return out.file != nil }

// add writes the next chunk of the file, or the next frame.
func (out *clip) add(data []byte) error {
	if out.isVideo() {
		_, err := out.file.Write(data)
		return err
	}
	name := filepath.Join(out.partial, fmt.Sprintf("%05d.png", out.frameCount))
	out.frameCount++
	return os.WriteFile(name, data, 0o666)
}

func (out *clip) complete() error {
	if out.isVideo() {
		if err := out.file.Sync(); err != nil {
			return err
		}
		if err := out.file.Close(); err != nil {
			return err
		}
	}
	return os.Rename(out.partial, out.path)
}

// discard removes what was written. It has no effect on a complete clip.
func (out *clip) discard() {
	if out.isVideo() {
		out.file.Close()
	}
	os.RemoveAll(out.partial)
}
