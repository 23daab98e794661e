// Mathematics of small linear convolutional networks, under the names of lcnlib.
