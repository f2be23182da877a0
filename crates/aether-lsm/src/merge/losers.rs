//! A tournament of losers (Knuth, The Art of Computer Programming, volume 3, 5.4.1): which of k sources is first, with log2 k
//! comparisons for each step.

/// Each inner node has the loser of its match; the winner of all is in node 0.
#[derive(Default)]
pub(crate) struct Losers {
    nodes: Vec<usize>,
    /// Used while all matches are played.
    winners: Vec<usize>,
}

impl Losers {
    /// Plays all matches among `count` sources; `beats` says that one comes before another.
    pub(crate) fn new(count: usize, beats: impl Fn(usize, usize) -> bool) -> Self {
        let mut this = Self::default();
        this.play(count, beats);
        this
    }

    /// Plays all matches again, whatever has moved.
    pub(crate) fn play(&mut self, count: usize, beats: impl Fn(usize, usize) -> bool) {
        self.nodes.resize(count, 0);
        self.winners.clear();
        self.winners.resize(count, 0);
        self.winners.extend(0..count);
        let (nodes, winners) = (&mut self.nodes, &mut self.winners);
        for node in (1..count).rev() {
            let (one, other) = (winners[2 * node], winners[2 * node + 1]);
            (winners[node], nodes[node]) = if beats(one, other) { (one, other) } else { (other, one) };
        }
        if let (Some(first), Some(winner)) = (nodes.first_mut(), winners.get(1)) {
            *first = *winner;
        }
    }

    /// The source that is first; none if there are no sources.
    pub(crate) fn first(&self) -> Option<usize> {
        self.nodes.first().copied()
    }

    /// The source that was first has gone on: plays its matches again.
    pub(crate) fn replay(&mut self, source: usize, beats: impl Fn(usize, usize) -> bool) {
        let (mut winner, mut node) = (source, (source + self.nodes.len()) / 2);
        while node > 0 {
            if beats(self.nodes[node], winner) {
                core::mem::swap(&mut self.nodes[node], &mut winner);
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_are_merged_in_order(lists in proptest::collection::vec(proptest::collection::vec(0u8..50, 0..20), 0..9)) {
            let mut lists = lists;
            lists.iter_mut().for_each(|list| list.sort_unstable());
            let mut at = vec![0; lists.len()];
            let head = |at: &[usize], source: usize| (lists[source].get(at[source]).map_or(u16::MAX, |number| u16::from(*number)), source);
            let mut order = Losers::new(lists.len(), |one, other| head(&at, one) < head(&at, other));
            let (mut merged, total) = (Vec::new(), lists.iter().map(Vec::len).sum::<usize>());
            while merged.len() < total {
                let first = order.first().unwrap();
                merged.push((lists[first][at[first]], first));
                at[first] += 1;
                order.replay(first, |one, other| head(&at, one) < head(&at, other));
            }
            let mut sorted: Vec<_> = lists.iter().enumerate().flat_map(|(source, list)| list.iter().map(move |&number| (number, source))).collect();
            sorted.sort_unstable();
            prop_assert_eq!(merged, sorted);
        }
    }
}
