//! Where a store is made, and where not; what it says of itself.

use crate::world::{HOME, World, config};
use aether_recovery::{CONTROL_NAME, Opening, identify};
use aether_sim::{CrashPolicy, OpKind, Sim};
use aether_types::{ErrorKind, PageSize};
use aether_vfs::{Create, Mode, OpenOptions};
use std::path::{Path, PathBuf};

fn create(sim: &Sim, home: &str) -> aether_types::Result<()> {
    Opening::begin(sim.env(), Path::new(home), config(1, 1), true).map(drop)
}

fn touch(sim: &Sim, path: &str) {
    let options = OpenOptions { write: true, create: Create::New, mode: Mode::Buffered };
    sim.env().vfs.open(Path::new(path), options).unwrap();
}

/// The directories that were synced, in this order.
fn synced(sim: &Sim) -> Vec<PathBuf> {
    let of_dirs = sim.log().into_iter().filter(|op| op.kind == OpKind::SyncDir);
    of_dirs.map(|op| op.path).collect()
}

#[test]
fn a_new_store_has_its_name_in_its_parent_for_good() {
    let sim = Sim::new(1);
    sim.env().vfs.create_dir(Path::new("/dir")).unwrap();
    sim.env().vfs.sync_dir(Path::new("/")).unwrap();
    create(&sim, "/dir/home").unwrap();
    assert_eq!(synced(&sim), ["/", "/dir/home", "/dir"].map(PathBuf::from));
    let after = sim.crash_image(CrashPolicy::LoseAll);
    assert!(Opening::begin(after.env(), Path::new("/dir/home"), config(1, 1), false).is_ok());
}

/// A name alone has no parent that could be called by name.
#[test]
fn a_home_in_the_working_directory_is_synced_there() {
    let sim = Sim::new(1);
    create(&sim, "home").unwrap();
    assert_eq!(synced(&sim), ["home", "."].map(PathBuf::from));
}

#[test]
fn an_empty_directory_becomes_a_store_and_another_is_left_alone() {
    let sim = Sim::new(1);
    sim.env().vfs.create_dir(Path::new("/empty")).unwrap();
    create(&sim, "/empty").unwrap();
    create(&sim, "/empty").unwrap();
    sim.env().vfs.create_dir(Path::new("/full")).unwrap();
    touch(&sim, "/full/letter");
    assert_eq!(create(&sim, "/full").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(sim.env().vfs.list(Path::new("/full")).unwrap().len(), 1);
    let nowhere = Opening::begin(sim.env(), Path::new("/nowhere"), config(1, 1), false);
    assert_eq!(nowhere.map(drop).unwrap_err().kind(), ErrorKind::NotFound);
}

/// Without its control file a store looks like the rest of a creation, but for its log.
#[test]
fn a_store_without_its_control_file_is_not_made_anew() {
    let world = World::new(config(1, 1));
    world.cell();
    world.sync();
    let sim = world.sim.kill_image();
    sim.env().vfs.remove(&Path::new(HOME).join(CONTROL_NAME)).unwrap();
    let names = sim.env().vfs.list(Path::new(HOME)).unwrap().len();
    assert_eq!(create(&sim, HOME).unwrap_err().kind(), ErrorKind::Corruption);
    assert_eq!(sim.env().vfs.list(Path::new(HOME)).unwrap().len(), names);
}

#[test]
fn a_creation_that_is_cut_short_is_begun_again() {
    let whole = Sim::new(1);
    create(&whole, HOME).unwrap();
    for op in 0..whole.op_count() {
        let sim = Sim::new(1);
        sim.cut_power_at(op);
        create(&sim, HOME).unwrap_err();
        for policy in CrashPolicy::all(op) {
            let world = World::open(&sim.crash_image(policy), config(1, 1));
            let world = world.unwrap_or_else(|error| panic!("operation {op}, {policy:?}: {error}"));
            let cell = world.cell();
            world.store.close().unwrap();
            assert_eq!(world.after_cut(config(1, 1)).unwrap().get(cell).unwrap(), 0);
        }
    }
}

#[test]
fn a_home_is_for_one_at_a_time() {
    let world = World::new(config(1, 1));
    let open = || World::open(&world.sim, config(1, 1)).map(drop);
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Locked);
    world.store.close().unwrap();
    world.store.release_lock();
    open().unwrap();
}

#[test]
fn a_store_says_what_it_is() {
    let given = config(2, 1);
    let mut world = World::new(given.clone());
    let store = &world.store;
    assert_eq!((store.home(), store.streams()), (Some(Path::new(HOME)), 2));
    assert_eq!(store.config().max_recovery_bytes, given.max_recovery_bytes);
    assert_eq!(store.config().redo_threads, 1);
    assert!(store.env().vfs.list(Path::new(HOME)).unwrap().len() > 2);
    world.cell();
    let identity = |world: &World| identify(&world.sim.env(), Path::new(HOME)).unwrap();
    let found = identity(&world);
    assert_eq!((found.store, found.page_size, found.is_clean), (store.id(), PageSize::MIN, false));
    world.store.close().unwrap();
    assert!(identity(&world).is_clean);
    let mut larger = given;
    (larger.buffer.page_size, larger.wal.ring_bytes) = (PageSize::MAX, 1 << 20);
    let id = world.store.id();
    world = world.after_cut(larger).unwrap();
    assert_eq!((world.store.page_size(), world.store.id()), (PageSize::MIN, id));
}

#[test]
fn what_other_programs_must_know_is_noted_once_and_stays() {
    let mut world = World::new(config(1, 1));
    assert!(!world.store.has_index_kinds() && !world.store.has_default_listed());
    world.store.note_index_kinds().unwrap();
    assert!(world.store.has_index_kinds() && !world.store.has_default_listed());
    let writes = world.sim.calls(OpKind::Write);
    world.store.note_index_kinds().unwrap();
    assert_eq!(world.sim.calls(OpKind::Write), writes);
    world = world.after_cut(config(1, 1)).unwrap();
    assert!(world.store.has_index_kinds() && !world.store.has_default_listed());
    world.store.note_default_listed().unwrap();
    world = world.after_cut(config(1, 1)).unwrap();
    assert!(world.store.has_index_kinds() && world.store.has_default_listed());
}
