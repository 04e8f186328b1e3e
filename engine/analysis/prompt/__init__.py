"""The prompt report: clauses of a sentence, findings, and a rewritten prompt, by rules for English and Chinese.

``report.report_prompt`` makes the report; ``clauses.parse_clauses`` only splits a sentence into clauses.
"""
