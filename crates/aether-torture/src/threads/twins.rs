//! What a killed process left, recovered by one redo thread and by several: the page files must be equal, byte for byte.
//! Then a recovery by several is cut short by a power cut, and what the next one shows is judged as ever: other rows than before
//! are permitted, for the power cut may take what the process had written and not synced.
//!
//! The redo threads are real and their calls come in another order each time, so a seed is a chance, not a promise.

use super::{Books, judge};
use crate::oracle::{Verdict, failed};
use crate::rng::Rng;
use crate::shape;
use crate::world::{Cut, Fate, World, policies};
use aether_kv::DbEnv;
use aether_vfs::read_file;
use std::path::Path;

/// Frames, so that several redo threads may share them and yet have to write back early.
const FRAMES: usize = 104;

/// The page file of a home.
const PAGES: &str = "pages-00000001";

/// Recovers copies of `image` and compares.
pub(super) fn compare(image: &World, books: &Books, rng: &mut Rng) -> Verdict<()> {
    let threads = rng.between(2, 4);
    let (one, several) = (image.fork(), image.fork());
    open(&one, 1)?.close().map_err(failed("close"))?;
    open(&several, threads)?.close().map_err(failed("close"))?;
    if let Some(at) = first_difference(&pages(&one)?, &pages(&several)?) {
        return Err(format!(
            "{threads} redo threads have left another page file than one, from byte {at} on"
        ));
    }
    let cut = image.fork();
    cut.sim.cut_power_at(cut.sim.op_count() + rng.below(200) as u64);
    drop(open(&cut, threads));
    let fate = Fate::Power(rng.below(policies()));
    let again = open(&cut.after(Cut { op: cut.sim.op_count(), fate }), threads)?;
    let judged = judge(&again, books, None);
    judged
        .map(drop)
        .map_err(|what| format!("a recovery by {threads} threads was cut short, {fate:?}: {what}"))
}

fn open(world: &World, threads: usize) -> Verdict<DbEnv> {
    world.open_with(|options| {
        options.redo_threads = threads;
        options.buffer.num_frames = FRAMES;
    })
}

fn pages(world: &World) -> Verdict<Vec<u8>> {
    let path = shape::home().join(Path::new(PAGES));
    read_file(&*world.sim.env().vfs, &path).map_err(failed("reading the page file"))
}

/// Where two files differ first; the shorter one differs at its end.
fn first_difference(left: &[u8], right: &[u8]) -> Option<usize> {
    let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    (common < left.len().max(right.len())).then_some(common)
}
