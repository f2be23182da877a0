//! The largest consistent cut (L5): a prefix of each stream in which every record has its whole vector inside.

use aether_types::{Lsn, Lv, StreamId};

/// From the record at `lsn` on, a stream needs `lv`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) lsn: u64,
    pub(crate) lv: Lv,
}

impl Need {
    /// What is needed of other streams: a record always has what its own stream holds before it.
    pub(crate) fn without(&self, own: StreamId) -> Lv {
        let mut lv = self.lv;
        lv.set(own, Lsn::new(0));
        lv
    }
}

/// Shrinks `ends` to the largest consistent cut. `needs` has, per stream, the accumulated needs in order;
/// streams that need nothing may be left out.
pub(crate) fn largest(ends: Lv, needs: &[(StreamId, Vec<Need>)]) -> Lv {
    let mut cut = ends;
    loop {
        let mut next = cut;
        for (stream, needs) in needs {
            // Needs only grow along a stream, so the first that is not met is where the prefix ends.
            let met = needs.partition_point(|need| cut.covers(&need.without(*stream)));
            let end = needs.get(met).map_or(u64::MAX, |need| need.lsn);
            next.set(*stream, Lsn::new(end.min(next.get(*stream).get())));
        }
        if next == cut {
            return cut;
        }
        cut = next;
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn lv(parts: [u64; 3]) -> Lv {
        let mut lv = Lv::ZERO;
        (0..3u8).zip(parts).for_each(|(stream, part)| lv.set(StreamId::new(stream), Lsn::new(part)));
        lv
    }

    fn need(lsn: u64, parts: [u64; 3]) -> Need {
        Need { lsn, lv: lv(parts) }
    }

    #[test]
    fn without_needs_everything_stays() {
        assert_eq!(largest(lv([7, 8, 9]), &[]), lv([7, 8, 9]));
    }

    #[test]
    fn a_loss_pulls_along_what_needs_it_and_what_needs_that() {
        let needs = [
            (StreamId::new(0), vec![need(10, [0, 20, 0]), need(30, [0, 60, 0])]),
            (StreamId::new(1), vec![need(40, [0, 0, 50])]),
        ];
        assert_eq!(largest(lv([100, 100, 100]), &needs), lv([100, 100, 100]));
        assert_eq!(largest(lv([100, 100, 49]), &needs), lv([30, 40, 49]));
        assert_eq!(largest(lv([100, 19, 49]), &needs), lv([10, 19, 49]));
    }
}
