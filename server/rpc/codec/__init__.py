"""Messages of the contract and types of the domain: requests are decoded, events and reports encoded."""
