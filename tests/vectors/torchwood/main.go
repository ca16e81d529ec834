// Command torchwood holds our proof files against filippo.io/torchwood, another implementation of tlog-proof.
//
//	torchwood < ours.txt > ../tlog_proof.json
//
// The first line of the input is a verifier key. Each further line is one proof that our code made: index, size, the
// leaf's entry in hexadecimal digits, the proof in base64. Every one must verify here, must not verify for another
// entry, and must be byte for byte what torchwood makes for that leaf under the same signed checkpoint of the tree that
// it builds itself. What passed is the output.
//
// It is run by hand when the format changes, with Go 1.27 and the network; the tests read its output.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type vector struct {
	Index int64  `json:"index"`
	Size  int64  `json:"size"`
	Entry string `json:"entry"`
	Proof string `json:"proof"`
}

func main() {
	log.SetFlags(0)
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() {
		log.Fatal("the input is empty: ", input.Err())
	}
	vkey := input.Text()
	verifier, err := note.NewVerifier(vkey)
	must(err)
	origin := torchwood.OriginPolicy(verifier.Name())
	policy := torchwood.ThresholdPolicy(2, origin, torchwood.SingleVerifierPolicy(verifier))

	var vectors []vector
	for input.Scan() {
		var v vector
		_, err := fmt.Sscan(input.Text(), &v.Index, &v.Size, &v.Entry, &v.Proof)
		must(err)
		must(v.check(policy))
		vectors = append(vectors, v)
	}
	must(input.Err())
	output := json.NewEncoder(os.Stdout)
	output.SetIndent("", " ")
	must(output.Encode(map[string]any{"by": "filippo.io/torchwood v0.10.0", "vkey": vkey, "proofs": vectors}))
}

func (v vector) check(policy torchwood.Policy) error {
	entry, err := hex.DecodeString(v.Entry)
	if err != nil {
		return err
	}
	proof, err := base64.StdEncoding.DecodeString(v.Proof)
	if err != nil {
		return err
	}
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), proof); err != nil {
		return err
	}
	if torchwood.VerifyProof(policy, tlog.RecordHash([]byte("another")), proof) == nil {
		return fmt.Errorf("the proof of leaf %d of %d verifies for another entry", v.Index, v.Size)
	}
	made, err := v.make(entry, proof, policy)
	if err != nil {
		return err
	}
	if !bytes.Equal(made, proof) {
		return fmt.Errorf("leaf %d of %d: made another proof:\n%s\nthan:\n%s", v.Index, v.Size, made, proof)
	}
	return nil
}

// make makes the proof under the checkpoint of a given one, in a tree whose entries are all "entry N" but this one.
func (v vector) make(entry, given []byte, policy torchwood.Policy) ([]byte, error) {
	var hashes storage
	for i := range v.Size {
		data := []byte(fmt.Sprintf("entry %d", i))
		if i == v.Index {
			data = entry
		}
		stored, err := tlog.StoredHashes(i, data, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, stored...)
	}
	root, err := tlog.TreeHash(v.Size, hashes)
	if err != nil {
		return nil, err
	}
	path, err := tlog.ProveRecord(v.Size, v.Index, hashes)
	if err != nil {
		return nil, err
	}
	_, signed, _ := bytes.Cut(given, []byte("\n\n"))
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return nil, err
	}
	if checkpoint.N != v.Size || checkpoint.Hash != root {
		return nil, fmt.Errorf("the checkpoint is of another tree than that of %d entries", v.Size)
	}
	if extra, err := torchwood.ProofExtraData(given); err == nil {
		return torchwood.FormatProofWithExtraData(v.Index, extra, path, signed), nil
	}
	return torchwood.FormatProof(v.Index, path, signed), nil
}

type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
