"""What the VTN does: async functions over one transaction, no HTTP and no XML."""
