//! Lock ranks of this crate: none is held during I/O or while another of them is taken.

use aether_sync::Rank;

/// Who begins the incarnation.
pub(crate) const BEGIN: Rank = Rank::new(700, "log begin");
/// Who flushes a stream.
pub(crate) const FLUSH: Rank = Rank::new(710, "log flush");
/// Those who wait for room in a ring.
pub(crate) const ROOM: Rank = Rank::new(720, "log room");
/// Claiming and merging into a stream's vector: one step.
pub(crate) const CLAIM: Rank = Rank::new(730, "log claim");
/// A stream's list of files.
pub(crate) const SEGMENTS: Rank = Rank::new(740, "log segments");
/// Wakers of commits.
pub(crate) const WAKERS: Rank = Rank::new(750, "log wakers");
/// What the background flusher is asked for.
pub(crate) const BELL: Rank = Rank::new(760, "log bell");
/// The error that ended writing.
pub(crate) const POISON: Rank = Rank::new(770, "log poison");
/// What has to be written anew.
pub(crate) const REWRITES: Rank = Rank::new(780, "log rewrites");
