"""All runs of one optimizer, trained by one compiled program per epoch, and what is measured of them."""
