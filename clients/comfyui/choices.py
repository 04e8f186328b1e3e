"""The choices of inputs that both the nodes and their work know. Imports nothing, so that nodes need no wheel."""

BY_THE_PICTURE = "by the picture"
CROP_SUBJECT, CROP_CENTER, PAD, REFUSE_SHAPE = FITS = ("crop_subject", "crop_center", "pad", "refuse")
SHRINK, REFUSE = LARGE_PICTURES = ("shrink", "refuse")
FROM_THE_FRAMES, H264, AV1 = VIDEO_SOURCES = ("from the frames", "H.264 from the server", "AV1 from the server")
SERVERS_DEFAULT, NOTHING = WHEN_EMPTY = ("server's default", "nothing")
STEP_REUSES = (SERVERS_DEFAULT, "off", "balanced", "fast")
NO_STEP_REUSE = STEP_REUSES[:2]
