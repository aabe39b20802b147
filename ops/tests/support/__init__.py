"""What the tests share: regions of real processes, raw sockets, an upstream that remembers, builders of APIs."""
