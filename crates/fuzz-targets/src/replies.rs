//! What a server may answer to the scripts of raus and redbuckets.

/// Whatever bytes a server sends: nothing is held that they do not grant.
pub(crate) fn run(data: &[u8]) {
    for reply in coord_core::fuzzing::replies(data).into_iter().flatten() {
        raus::fuzzing::reply(&reply);
        redbuckets::fuzzing::reply(&reply);
    }
}
