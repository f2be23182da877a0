//! Locks as bytes: a prepared transaction keeps them over a restart. The layout stands in `docs/formats.md`.

use super::{LockMode, Resource};
use aether_types::{Reader, Result, Writer};
use core::ops::Bound;

const DATABASE: u8 = 0;
const KEYSPACE: u8 = 1;
const RANGE: u8 = 2;
const RANGE_TO_THE_END: u8 = 3;
const KEY: u8 = 4;

/// Appends locks.
pub(crate) fn encode_into(locks: &[(Resource, LockMode)], out: &mut Vec<u8>) {
    out.put_varint(locks.len() as u64);
    for (resource, mode) in locks {
        let mode = LockMode::ALL.iter().position(|known| known == mode).unwrap_or_default();
        out.put_u8(mode as u8);
        let (kind, first, second): (u8, &[u8], &[u8]) = match resource {
            Resource::Database => (DATABASE, &[], &[]),
            Resource::Keyspace(_) => (KEYSPACE, &[], &[]),
            Resource::Range { from, to: Some(to), .. } => (RANGE, from, to),
            Resource::Range { from, to: None, .. } => (RANGE_TO_THE_END, from, &[]),
            Resource::Key { key, .. } => (KEY, key, &[]),
        };
        out.put_u8(kind);
        out.put_u32(resource.tree().unwrap_or_default());
        out.put_string(first);
        out.put_string(second);
    }
}

/// Reads locks.
///
/// # Errors
/// `Corruption`.
pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Vec<(Resource, LockMode)>> {
    (0..reader.varint()?).map(|_| decode_one(reader)).collect()
}

fn decode_one(reader: &mut Reader<'_>) -> Result<(Resource, LockMode)> {
    let mode = reader.u8()?;
    let mode = LockMode::ALL.get(usize::from(mode)).copied();
    let mode = mode.ok_or_else(|| reader.bad("a lock of unknown mode"))?;
    let kind = reader.u8()?;
    let tree = reader.u32()?;
    let (first, second) = (reader.string()?, reader.string()?);
    let range = |to| {
        let range = Resource::range(tree, Bound::Included(first), to);
        range.map_err(|_| reader.bad("a locked range in which no key can lie"))
    };
    let resource = match kind {
        DATABASE => Resource::Database,
        KEYSPACE => Resource::Keyspace(tree),
        RANGE => range(Bound::Excluded(second))?,
        RANGE_TO_THE_END => range(Bound::Unbounded)?,
        KEY => Resource::key(tree, first),
        _ => return Err(reader.bad("a lock on something unknown")),
    };
    Ok((resource, mode))
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn locks_round_trip() {
        let range = |to| Resource::range(7, Bound::Included(b"a"), to).unwrap();
        let locks = vec![
            (Resource::Database, LockMode::IX),
            (Resource::Keyspace(7), LockMode::SIX),
            (range(Bound::Excluded(&b"b"[..])), LockMode::S),
            (range(Bound::Unbounded), LockMode::X),
            (Resource::key(7, b"k"), LockMode::X),
        ];
        let mut bytes = Vec::new();
        encode_into(&locks, &mut bytes);
        assert_eq!(decode(&mut Reader::new(&bytes)).unwrap(), locks);
        (0..bytes.len()).for_each(|end| assert!(decode(&mut Reader::new(&bytes[..end])).is_err()));
        for at in 0..3 {
            let mut wrong = bytes.clone();
            wrong[at] = 77;
            assert!(decode(&mut Reader::new(&wrong)).is_err(), "byte {at}");
        }
    }
}
