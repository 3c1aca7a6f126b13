package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile makes a file that appears whole or not at all: a temporary name in
// the same folder, fsync, rename, fsync of the folder. What is there and not a
// regular file, such as a device or a pipe, is written to as it is. A symbolic
// link stays, and what it names is written: /dev/stdout is one.
func writeFile(path string, write func(io.Writer) error) (err error) {
	defer func() {
		var temporary *fs.PathError
		if errors.As(err, &temporary) { // it would name the temporary file
			temporary.Path = path
		}
	}()
	old, _ := os.Stat(path)
	if old != nil && old.IsDir() {
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("it is a folder")}
	}
	if old != nil && !old.Mode().IsRegular() {
		return writeDevice(path, write)
	}
	target, err := behindLinks(path)
	if err != nil {
		return err
	}
	if there, _ := os.Stat(target); old != nil && (there == nil || !os.SameFile(old, there)) {
		return writeDevice(path, write) // stdout, of which the file was removed
	}
	if old != nil { // the folder's leave to rename is not enough
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	return replaceFile(target, write)
}

// checkFolder finds out, before anything is computed, that a file cannot be
// written for want of its folder.
func checkFolder(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err == nil && !info.IsDir() {
		err = errors.New("its folder is none")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// behindLinks gives the file that a path names where symbolic links lead to it,
// there or not.
func behindLinks(path string) (string, error) {
	for range 40 { // as many as Linux follows
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		next, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(next) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path)) // ".." in a link means the folder's own parent
			if err != nil {
				return "", err
			}
			next = filepath.Join(dir, next)
		}
		path = next
	}
	return "", &fs.PathError{Op: "write", Path: path, Err: errors.New("too many symbolic links")}
}

func replaceFile(path string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	buffered := bufio.NewWriter(f)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm()
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil { // some systems cannot sync a folder
		d.Sync()
		d.Close()
	}
	return nil
}

func writeDevice(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
