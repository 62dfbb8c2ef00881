"""Values of the domain: orders, broker reports, positions, outcomes, risk state. Imports nothing of ours."""
