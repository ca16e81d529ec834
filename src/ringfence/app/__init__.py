"""Wiring: the one place that names every device.

Reads a configuration, builds the devices it names, joins them to the services and hands both to a face. Nothing else
in Ringfence constructs a device.

`configuration`, `deployment` what lies on disk · `runtime` what one process has open of it · `serving`,
`surroundings`, `garbage` the gateway's process · `ingesting`, `ingest_reader` that of `ingest` · `initialise`,
`ceremony`, `ceremony_plan` how a ledger begins · `issuers`, `tokens` whose tokens are taken · `credentials`,
`credential_keys`, `attestations`, `build` which builds run · `doctor` what is wrong · `yaml_text` what people write.
"""
