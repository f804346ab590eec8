package main

import (
	"encoding/json"
	"io"
	"net/url"

	"assize.dev/services/scan"
	"assize.dev/shared/event"
	"assize.dev/shared/run"
)

// maxSarif is how many results a report has; SARIF is one document, and code
// hosts take no more than some thousands.
const maxSarif = 25_000

// sarifSecrets collects findings into one document of SARIF 2.1.0 (OASIS).
type sarifSecrets struct {
	out     io.Writer
	results []sarifResult
	rules   []sarifRule
	known   map[string]bool
	omitted int
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID    string    `json:"id"`
	Short sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]string `json:"properties"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifRegion struct {
	StartLine   int   `json:"startLine"`
	StartColumn int   `json:"startColumn"`
	ByteOffset  int64 `json:"byteOffset"`
	ByteLength  int   `json:"byteLength"`
}

func (s *sarifSecrets) print(f scan.SecretFinding) error {
	if len(s.results) == maxSarif {
		s.omitted++
		return nil
	}
	if s.known == nil {
		s.known = make(map[string]bool)
	}
	if !s.known[f.Type] {
		s.known[f.Type] = true
		s.rules = append(s.rules, sarifRule{f.Type, sarifText{f.Title}})
	}
	r := sarifResult{
		RuleID: f.Type, Level: sarifLevel(f.Severity), Message: sarifText{f.Title + " " + f.Redacted},
		Locations: make([]sarifLocation, 1), Fingerprints: map[string]string{"assize/v1": f.Fingerprint},
		Properties: map[string]string{"severity": string(f.Severity), "confidence": f.Confidence},
	}
	where := &r.Locations[0].Physical
	where.Artifact.URI = uriOf(f.Path)
	where.Region = &sarifRegion{f.Line, f.Column, f.Offset, f.Length}
	s.results = append(s.results, r)
	return nil
}

func uriOf(path string) string { return (&url.URL{Path: path}).EscapedPath() }

func sarifLevel(s event.Severity) string {
	switch {
	case s.Rank() >= event.High.Rank():
		return "error"
	case s == event.Medium:
		return "warning"
	}
	return "note"
}

func (s *sarifSecrets) close(unseen []string) error {
	if s.omitted > 0 {
		unseen = append(unseen, "further findings are not listed")
	}
	return writeSarif(s.out, s.results, s.rules, unseen)
}

// writeSarif writes one run; unseen is why the results may not be all.
func writeSarif(out io.Writer, results []sarifResult, rules []sarifRule, unseen []string) error {
	r := sarifRun{Results: results, Invocations: []sarifInvocation{{Successful: len(unseen) == 0}}}
	if r.Results == nil {
		r.Results = []sarifResult{}
	}
	for _, why := range unseen {
		r.Invocations[0].Notifications = append(r.Invocations[0].Notifications, sarifNotification{"error", sarifText{why}})
	}
	r.Tool.Driver = sarifDriver{Name: "Assize", Version: run.BuildVersion(), Rules: rules}
	if r.Tool.Driver.Rules == nil {
		r.Tool.Driver.Rules = []sarifRule{}
	}
	return json.NewEncoder(out).Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{r}})
}
