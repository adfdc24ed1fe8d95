"""The gate: may this image be released, by the rules of a policy?"""
