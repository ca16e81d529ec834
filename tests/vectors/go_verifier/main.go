// Command go_verifier checks an exported ledger with Go's own transparency log packages.
//
//	go_verifier DIR
//
// DIR holds `checkpoint`, `tile/...`, `vkey` and, optionally, earlier checkpoints as `checkpoints/<size>`. It checks
// that the log's key signed every checkpoint both plainly and as a timed cosignature, recomputes the hash of every
// entry, holds every tile that this size needs and every record against the root, and checks that the tree of every
// earlier checkpoint is the beginning of the newest one. It shares no code with the program that wrote DIR.
//
// It prints one line and exits with 0 when all of it holds; else it says on stderr what does not, and exits with 1.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight        = 8
	tileWidth         = 1 << tileHeight
	cosignatureKeyTag = 4
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go_verifier DIR")
		os.Exit(2)
	}
	if err := verify(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "refuted:", err)
		os.Exit(1)
	}
}

func verify(dir string) error {
	log, err := readLogKeys(dir)
	if err != nil {
		return err
	}
	newest, err := log.open(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	earlier, err := log.openEarlier(filepath.Join(dir, "checkpoints"))
	if err != nil {
		return err
	}
	if newest.N == 0 {
		if newest.Hash != tlog.Hash(sha256.Sum256(nil)) {
			return errors.New("the root of the empty tree is wrong")
		}
		fmt.Println("verified: 0 records")
		return nil
	}
	hashes := &keptHashes{source: tlog.TileHashReader(newest, tileFiles{dir}), kept: map[int64]tlog.Hash{}}
	for first := int64(0); first < newest.N; first += tileWidth {
		if err := checkBundle(dir, newest, hashes, first); err != nil {
			return err
		}
	}
	if err := checkTiles(dir, newest, hashes); err != nil {
		return err
	}
	for _, old := range earlier {
		if err := checkGrowth(old, newest, hashes); err != nil {
			return fmt.Errorf("checkpoint of size %d: %w", old.N, err)
		}
	}
	fmt.Printf("verified: %d records, %d earlier checkpoints\n", newest.N, len(earlier))
	return nil
}

// logKeys are the two verifiers of the log's one key pair.
type logKeys struct {
	plain note.Verifier
	timed note.Verifier
}

func readLogKeys(dir string) (*logKeys, error) {
	data, err := os.ReadFile(filepath.Join(dir, "vkey"))
	if err != nil {
		return nil, err
	}
	vkey := strings.TrimSuffix(string(data), "\n")
	plain, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	parts := strings.SplitN(vkey, "+", 3) // the base64 may hold a plus too
	encoded, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	return &logKeys{plain, newTimedVerifier(plain.Name(), encoded[1:])}, nil
}

// open checks a checkpoint's signatures, both of which must be there, and reads its text.
func (log *logKeys) open(path string) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(log.plain, log.timed))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(opened.Sigs) != 2 {
		return tlog.Tree{}, fmt.Errorf("%s: %d signatures by the log, want 2", path, len(opened.Sigs))
	}
	if len(opened.UnverifiedSigs) != 0 {
		return tlog.Tree{}, fmt.Errorf("%s: a signature by an unknown key", path)
	}
	tree, err := parseCheckpoint(opened.Text, log.plain.Name())
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", path, err)
	}
	return tree, nil
}

func (log *logKeys) openEarlier(dir string) ([]tlog.Tree, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var trees []tlog.Tree
	for _, file := range files {
		tree, err := log.open(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		if file.Name() != strconv.FormatInt(tree.N, 10) {
			return nil, fmt.Errorf("checkpoints/%s is of size %d", file.Name(), tree.N)
		}
		trees = append(trees, tree)
	}
	return trees, nil
}

// parseCheckpoint reads origin, size and root; tlog.ParseTree knows only the text of Go's own database.
func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" {
		return tlog.Tree{}, errors.New("not the text of a checkpoint")
	}
	if lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("origin %q, want %q", lines[0], origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("tree size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// timedVerifier checks cosignature/v1 lines: an 8-byte time, then Ed25519 over that time and the text.
type timedVerifier struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func newTimedVerifier(name string, key []byte) *timedVerifier {
	message := append([]byte(name+"\n"), cosignatureKeyTag)
	sum := sha256.Sum256(append(message, key...))
	return &timedVerifier{name, binary.BigEndian.Uint32(sum[:4]), key}
}

func (v *timedVerifier) Name() string    { return v.name }
func (v *timedVerifier) KeyHash() uint32 { return v.id }
func (v *timedVerifier) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(v.key, []byte(message), signature[8:])
}

// checkBundle recomputes the hash of each entry of one bundle and holds each record against the root.
func checkBundle(dir string, tree tlog.Tree, hashes *keptHashes, first int64) error {
	width := min(int64(tileWidth), tree.N-first)
	tile := tlog.Tile{H: tileHeight, L: -1, N: first / tileWidth, W: int(width)}
	path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return err
	}
	if err := hashes.fetchTile(first, width); err != nil {
		return fmt.Errorf("tiles under %s: %w", path, err)
	}
	for n := first; n < first+width; n++ {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return fmt.Errorf("%s ends inside record %d", path, n)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaf := tlog.RecordHash(data[2:end])
		data = data[end:]
		proof, err := tlog.ProveRecord(tree.N, n, hashes)
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if stored := hashes.kept[tlog.StoredHashIndex(0, n)]; stored != leaf {
			return fmt.Errorf("record %d: its hash is not the one in its tile", n)
		}
	}
	if len(data) != 0 {
		return fmt.Errorf("%s goes on after its last record", path)
	}
	return nil
}

// checkTiles holds the bytes of every tile that a tree of this size has against hashes already proven.
func checkTiles(dir string, tree tlog.Tree, hashes *keptHashes) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, tree.N) {
		if last := tree.N >> (tileHeight * tile.L); tile.W < tileWidth && tile.N<<tileHeight+int64(tile.W) != last {
			continue // a narrower one, of an earlier size
		}
		want, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		got, err := (tileFiles{dir}).ReadTiles([]tlog.Tile{tile})
		if err != nil {
			return err
		}
		if !bytes.Equal(got[0], want) {
			return fmt.Errorf("%s is not what the tree holds there", tilePath(tile))
		}
	}
	return nil
}

func checkGrowth(old, newest tlog.Tree, hashes tlog.HashReader) error {
	if old.N == 0 {
		if old.Hash != tlog.Hash(sha256.Sum256(nil)) {
			return errors.New("the root of the empty tree is wrong")
		}
		return nil
	}
	if old.N > newest.N {
		return errors.New("it is larger than the newest one")
	}
	proof, err := tlog.ProveTree(newest.N, old.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, newest.N, newest.Hash, old.N, old.Hash)
}

// keptHashes asks its source, which proves what it reads, once for each hash.
type keptHashes struct {
	source tlog.HashReader
	kept   map[int64]tlog.Hash
}

// fetchTile keeps every stored hash over the records [first, first+width), so that proving each costs no reading.
func (k *keptHashes) fetchTile(first, width int64) error {
	var indexes []int64
	for level := 0; level <= tileHeight; level++ {
		for n := first >> level; n < (first+width)>>level; n++ {
			indexes = append(indexes, tlog.StoredHashIndex(level, n))
		}
	}
	_, err := k.ReadHashes(indexes)
	return err
}

func (k *keptHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var missing []int64
	for _, index := range indexes {
		if _, ok := k.kept[index]; !ok {
			missing = append(missing, index)
		}
	}
	if len(missing) > 0 {
		read, err := k.source.ReadHashes(missing)
		if err != nil {
			return nil, err
		}
		for i, index := range missing {
			k.kept[index] = read[i]
		}
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = k.kept[index]
	}
	return hashes, nil
}

// tileFiles reads tiles from a directory; their paths lack the height that Go's have.
type tileFiles struct{ dir string }

func (t tileFiles) Height() int                             { return tileHeight }
func (t tileFiles) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}

func (t tileFiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(t.dir, tilePath(tile)))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", tilePath(tile), len(data))
		}
		all[i] = data
	}
	return all, nil
}

func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
}
