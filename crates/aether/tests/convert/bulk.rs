//! Rows in bulk, and ranges that go, beside a conversion: before it, during it, after it, and over it.

use super::{KINDS, check, create, fill, key, open};
use aether::{Db, ErrorKind, IndexKind, KeyspaceOptions, Result};
use std::ops::ControlFlow;
use tempfile::TempDir;

/// The next kind in the list.
fn other(kind: IndexKind) -> IndexKind {
    let at = KINDS.iter().position(|other| *other == kind).unwrap();
    KINDS[(at + 1) % KINDS.len()]
}

/// Changes rows in bulk at a place of their own for each `step`, in the store and in the model.
fn change(db: &Db, model: &mut super::Model, step: u32) -> Result<()> {
    let fresh = (0..40).map(|number| (key(100 * step + 2 * number), format!("in bulk {step}").into_bytes()));
    assert_eq!(db.ingest(fresh.clone().map(Ok))?, 40);
    model.extend(fresh);
    let gone = key(700 + 50 * step)..key(730 + 50 * step);
    let count = model.range(gone.clone()).count() as u64;
    let told = db.delete_range(gone.clone())?;
    assert!(told.is_none_or(|told| told == count), "{told:?} of {count} rows");
    model.retain(|key, _| !gone.contains(key));
    Ok(())
}

#[test]
fn what_comes_in_bulk_comes_along() -> Result<()> {
    for kind in KINDS {
        let dir = TempDir::new().unwrap();
        let db = create(&open(&dir)?, "rows", kind)?;
        let mut model = fill(&db)?;
        change(&db, &mut model, 1)?;
        let mut steps = 1;
        db.env().convert_with("rows", KeyspaceOptions::of(other(kind)), |_| {
            if steps < 4 {
                steps += 1;
                change(&db, &mut model, steps).unwrap();
            }
            ControlFlow::Continue(())
        })?;
        assert!(steps > 2, "{kind}: {steps}");
        check(&db, &model)?;
        change(&db, &mut model, 5)?;
        check(&db, &model)?;
    }
    Ok(())
}

/// Its snapshot is older than the switch: as for a put.
#[test]
fn who_began_before_the_switch_is_refused() -> Result<()> {
    for kind in [IndexKind::LSM, IndexKind::BTREE] {
        let dir = TempDir::new().unwrap();
        let db = create(&open(&dir)?, "rows", kind)?;
        let model = fill(&db)?;
        let mut old = db.begin()?;
        assert_eq!(old.get(db.keyspace(), &key(1))?, model.get(&key(1)).cloned());
        db.env().convert("rows", KeyspaceOptions::of(other(kind)))?;
        let refused = old.ingest(db.keyspace(), [Ok((key(1), b"late".to_vec()))]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let refused = old.delete_range(db.keyspace(), key(1)..key(9)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        old.abort()?;
        check(&db, &model)?;
    }
    Ok(())
}
