// Check verifies what auditchain signs and proves with code that is not auditchain's: sumdb/note and
// sumdb/tlog of golang.org/x/mod, which check Go's own module log. On Debian:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o check test/go/check.go
//	check note VKEY NOTE                              signed by the key; prints its text
//	check cosignature VKEY NOTE                       cosigned by the witness's key; prints the time
//	check inclusion VKEY PROOF LEAF                   a C2SP tlog-proof shows the leaf to be in the log
//	check consistency VKEY OLDNOTE NEWNOTE PROOF      the old tree is the beginning of the new
//	check batch                                       reads such commands, a line each, with tabs
//
// VKEY is the key itself, all others are names of files; that of a consistency proof has a hash in
// base64 on each line. A checkpoint's origin must be the name of the key. Exits with 0 if accepted and
// with 1 if refused. batch prints `accepted` or `refused: REASON` for each line and exits with 0.
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const cosignatureType = 4

// cosigner verifies timestamped cosignatures (C2SP tlog-cosignature), which sumdb/note does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
	time uint64 // of the newest signature verified
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	c.time = binary.BigEndian.Uint64(sig)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", c.time, msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed key of a witness")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureType {
		return nil, errors.New("not the key of a witness")
	}
	return &cosigner{name: parts[0], hash: uint32(hash), key: key[1:]}, nil
}

// openCheckpoint returns the tree that a checkpoint, signed by the key, is of.
func openCheckpoint(vkey string, msg []byte) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	n, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// parseProof splits a C2SP tlog-proof into index, hashes and checkpoint.
func parseProof(text string) (int64, tlog.RecordProof, []byte, error) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, nil, nil, errors.New("not a tlog-proof")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return 0, nil, nil, errors.New("a tlog-proof without index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return 0, nil, nil, err
	}
	hashes, err := parseHashes(lines[1:])
	return index, hashes, []byte(checkpoint), err
}

func checkNote(vkey string, files [][]byte) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	n, err := note.Open(files[0], note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	return n.Text, nil
}

func checkCosignature(vkey string, files [][]byte) (string, error) {
	witness, err := newCosigner(vkey)
	if err != nil {
		return "", err
	}
	if _, err := note.Open(files[0], note.VerifierList(witness)); err != nil {
		return "", err
	}
	return fmt.Sprintln(witness.time), nil
}

func checkInclusion(vkey string, files [][]byte) (string, error) {
	index, proof, checkpoint, err := parseProof(string(files[0]))
	if err != nil {
		return "", err
	}
	tree, err := openCheckpoint(vkey, checkpoint)
	if err != nil {
		return "", err
	}
	return "", tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(files[1]))
}

func checkConsistency(vkey string, files [][]byte) (string, error) {
	older, err := openCheckpoint(vkey, files[0])
	if err != nil {
		return "", err
	}
	newer, err := openCheckpoint(vkey, files[1])
	if err != nil {
		return "", err
	}
	proof, err := parseHashes(strings.Fields(string(files[2])))
	if err != nil {
		return "", err
	}
	return "", tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash)
}

var commands = map[string]struct {
	files int
	run   func(vkey string, files [][]byte) (string, error)
}{
	"note":        {1, checkNote},
	"cosignature": {1, checkCosignature},
	"inclusion":   {2, checkInclusion},
	"consistency": {3, checkConsistency},
}

// check runs one command and returns what it prints, or why it refuses.
func check(args []string) (string, error) {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	command, found := commands[name]
	if !found || len(args) != 2+command.files {
		fmt.Fprintln(os.Stderr, "check: not a command:", strings.Join(args, " "))
		os.Exit(2)
	}
	var files [][]byte
	for _, path := range args[2:] {
		file, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "check:", err)
			os.Exit(2)
		}
		files = append(files, file)
	}
	return command.run(args[1], files)
}

func batch() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if _, err := check(strings.Split(lines.Text(), "\t")); err != nil {
			fmt.Println("refused:", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("accepted")
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(2)
	}
}

func main() {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "batch" {
		batch()
		return
	}
	output, err := check(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Print(output)
}
