def segment_warnings(job): return ()
def division_warnings(d): return ()
