"""Evidence: what a report and its records say, in the forms that issues, programs and CI take. No I/O.

Each form is a pure function from a `mcp_echo.watch.findings.Report` and the records to bytes, at most
`mcp_echo.watch.evidence.room.MOST` of them. `mcp_echo.watch.evidence.formats` lists the forms.
"""
