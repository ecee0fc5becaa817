"""Everything a port means: what Label Studio calls, what people call, who may, and their pages."""
