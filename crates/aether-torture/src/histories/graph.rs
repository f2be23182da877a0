//! The cycles that a level forbids.
//!
//! A transaction begins and ends, so each is two nodes, and an edge says which of them came before which. What a level
//! promises decides where an edge leads:
//!
//! - read-committed: who reads or overwrites has its end after the other's end; who has read without a change had
//!   begun before that change was committed.
//! - snapshot: all reads are of the begin, and who overwrites must have begun after the other's end. So an
//!   anti-dependency leads from a begin to an end, everything else from an end to a begin, and what is left as a
//!   cycle is just what snapshot isolation forbids.
//! - serializable: begin and end are one moment, and one node.
//!
//! At every level a transaction begins after what was acknowledged before: these edges go over a chain of all
//! ends, for pairs would be too many.

use super::edge::{Edge, Kind, Step};
use super::level::Level;
use super::transaction::Transaction;
use std::collections::{HashMap, VecDeque};

/// Transactions from which a cycle is looked for, of those that are on one together.
const STARTS: usize = 24;

/// Which edges count, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Writes over writes.
    Writes,
    /// Also reads of writes.
    Reads,
    /// All edges, as the level promises them.
    Level(Level),
}

impl Pass {
    /// The passes of a level; each forbids all that those before it do.
    pub(super) fn of(level: Level) -> Vec<Self> {
        let levels = Level::ALL.into_iter().filter(|each| *each <= level).map(Self::Level);
        [Self::Writes, Self::Reads].into_iter().chain(levels).collect()
    }

    fn level(self) -> Level {
        match self {
            Self::Level(level) => level,
            _ => Level::ReadCommitted,
        }
    }

    fn counts(self, kind: Kind) -> bool {
        match self {
            Self::Writes => kind == Kind::Ww,
            Self::Reads => matches!(kind, Kind::Ww | Kind::Wr),
            Self::Level(_) => true,
        }
    }
}

/// The way from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the edge of this number.
    Edge(u32),
    /// Into the chain of ends.
    Ended,
    /// Along the chain, out of it, or inside a transaction.
    Free,
}

impl Way {
    fn length(self) -> u32 {
        u32::from(self != Self::Free)
    }
}

/// Nodes and the ways between them: those of node n are `ways[first[n]..first[n + 1]]`.
pub(super) struct Graph<'a> {
    edges: &'a [Edge],
    transactions: usize,
    first: Vec<u32>,
    ways: Vec<(u32, Way)>,
}

impl<'a> Graph<'a> {
    /// The graph of one pass.
    pub(super) fn new(transactions: &[Transaction], edges: &'a [Edge], pass: Pass) -> Self {
        let mut list = Vec::with_capacity(edges.len() + 3 * transactions.len());
        for (number, edge) in edges.iter().enumerate().filter(|(_, edge)| pass.counts(edge.kind)) {
            let (from, to) = pass.level().ends_of(edge);
            list.push((from, to, Way::Edge(number as u32)));
        }
        if pass.level() != Level::Serializable {
            let inside = |transaction| (begin(transaction), pass.level().end(transaction), Way::Free);
            list.extend((0..transactions.len() as u32).map(inside));
        }
        let is_timed = matches!(pass, Pass::Level(_));
        let chain = if is_timed { add_chain(transactions, pass.level(), &mut list) } else { 0 };
        Self::pack(edges, transactions.len(), 2 * transactions.len() + chain, &mut list)
    }

    fn pack(edges: &'a [Edge], transactions: usize, nodes: usize, list: &mut [(u32, u32, Way)]) -> Self {
        list.sort_unstable_by_key(|(from, ..)| *from);
        let mut first = vec![0; nodes + 1];
        list.iter().for_each(|(from, ..)| first[*from as usize + 1] += 1);
        (0..nodes).for_each(|node| first[node + 1] += first[node]);
        let ways = list.iter().map(|(_, to, way)| (*to, *way)).collect();
        Self { edges, transactions, first, ways }
    }

    fn ways(&self, node: u32) -> &[(u32, Way)] {
        &self.ways[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }

    /// Short cycles, a few of each knot of transactions that are on cycles together.
    pub(super) fn cycles(&self) -> Vec<Vec<Step>> {
        let knots = self.knots();
        knots.iter().flat_map(|knot| self.cycles_in(knot)).collect()
    }

    fn cycles_in(&self, knot: &[u32]) -> Vec<Vec<Step>> {
        let inside: HashMap<u32, ()> = knot.iter().map(|node| (*node, ())).collect();
        let own: Vec<u32> =
            knot.iter().copied().filter(|node| (*node as usize) < 2 * self.transactions).collect();
        let stride = own.len().div_ceil(STARTS).max(1);
        own.iter().step_by(stride).filter_map(|start| self.cycle_from(*start, &inside)).collect()
    }

    /// A shortest cycle through `start`.
    fn cycle_from(&self, start: u32, inside: &HashMap<u32, ()>) -> Option<Vec<Step>> {
        let mut reached: HashMap<u32, (u32, u32, Way)> = HashMap::new();
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((node, length)) = queue.pop_front() {
            if reached.get(&node).is_some_and(|(known, ..)| *known < length) {
                continue;
            }
            if node == start && reached.contains_key(&start) {
                return self.steps(start, &reached);
            }
            for (to, way) in self.ways(node).iter().filter(|(to, _)| inside.contains_key(to)) {
                let length = length + way.length();
                if reached.get(to).is_none_or(|(known, ..)| length < *known) {
                    reached.insert(*to, (length, node, *way));
                    if way.length() == 0 {
                        queue.push_front((*to, length))
                    } else {
                        queue.push_back((*to, length))
                    }
                }
            }
        }
        None
    }

    /// The way back from `start` to itself, in order; free ways are left out.
    fn steps(&self, start: u32, reached: &HashMap<u32, (u32, u32, Way)>) -> Option<Vec<Step>> {
        let (mut steps, mut node, mut left_chain) = (Vec::new(), start, None);
        loop {
            let (_, before, way) = *reached.get(&node)?;
            let is_chain = |node: u32| node as usize >= 2 * self.transactions;
            if is_chain(before) && !is_chain(node) {
                left_chain = Some(node / 2);
            }
            match way {
                Way::Edge(number) => steps.push(Step::Edge(self.edges[number as usize])),
                Way::Ended => steps.push(Step::Realtime { from: before / 2, to: left_chain? }),
                Way::Free => {}
            }
            node = before;
            if node == start {
                steps.reverse();
                return Some(steps);
            }
        }
    }

    /// Strongly connected components of more than one node (Tarjan, without recursion).
    fn knots(&self) -> Vec<Vec<u32>> {
        let mut search = Search::new(self.first.len() - 1);
        for root in 0..self.first.len() as u32 - 1 {
            if search.index[root as usize] == 0 {
                search.visit(self, root);
            }
        }
        search.knots
    }
}

/// The node of a transaction's begin.
fn begin(transaction: u32) -> u32 {
    2 * transaction
}

impl Level {
    /// The node of a transaction's end.
    fn end(self, transaction: u32) -> u32 {
        2 * transaction + u32::from(self != Self::Serializable)
    }

    /// The nodes that an edge leads from and to.
    fn ends_of(self, edge: &Edge) -> (u32, u32) {
        match (edge.kind, self) {
            (Kind::Rw { .. }, _) => (begin(edge.from), self.end(edge.to)),
            (_, Self::ReadCommitted) => (self.end(edge.from), self.end(edge.to)),
            _ => (self.end(edge.from), begin(edge.to)),
        }
    }
}

/// A node for each end, in order, and the ways into, along and out of them. Returns their number.
fn add_chain(transactions: &[Transaction], level: Level, list: &mut Vec<(u32, u32, Way)>) -> usize {
    let mut events: Vec<(usize, u32, bool)> = Vec::with_capacity(2 * transactions.len());
    for (number, transaction) in (0..).zip(transactions) {
        events.push((transaction.begun, number, false));
        events.extend(transaction.ended.map(|at| (at, number, true)));
    }
    events.sort_unstable();
    let first = 2 * transactions.len() as u32;
    let mut next = first;
    for (_, number, is_end) in events {
        match is_end {
            true => {
                list.push((level.end(number), next, Way::Ended));
                if next > first {
                    list.push((next - 1, next, Way::Free));
                }
                next += 1;
            }
            false if next > first => list.push((next - 1, begin(number), Way::Free)),
            false => {}
        }
    }
    (next - first) as usize
}

/// The state of Tarjan's search.
struct Search {
    /// When a node was met, from 1; 0: not yet.
    index: Vec<u32>,
    low: Vec<u32>,
    is_open: Vec<bool>,
    open: Vec<u32>,
    met: u32,
    knots: Vec<Vec<u32>>,
}

impl Search {
    fn new(nodes: usize) -> Self {
        Self {
            index: vec![0; nodes],
            low: vec![0; nodes],
            is_open: vec![false; nodes],
            open: Vec::new(),
            met: 0,
            knots: Vec::new(),
        }
    }

    fn visit(&mut self, graph: &Graph<'_>, root: u32) {
        let mut path = vec![(root, 0)];
        self.meet(root);
        while let Some((node, way)) = path.last_mut() {
            let (at, next) = (*node, graph.ways(*node).get(*way).map(|(to, _)| *to));
            *way += 1;
            match next {
                Some(to) if self.index[to as usize] == 0 => {
                    self.meet(to);
                    path.push((to, 0));
                }
                Some(to) if self.is_open[to as usize] => self.lower(at, self.index[to as usize]),
                Some(_) => {}
                None => {
                    path.pop();
                    self.leave(at);
                    if let Some((before, _)) = path.last() {
                        self.lower(*before, self.low[at as usize]);
                    }
                }
            }
        }
    }

    fn meet(&mut self, node: u32) {
        self.met += 1;
        (self.index[node as usize], self.low[node as usize]) = (self.met, self.met);
        self.is_open[node as usize] = true;
        self.open.push(node);
    }

    fn lower(&mut self, node: u32, to: u32) {
        let low = &mut self.low[node as usize];
        *low = to.min(*low);
    }

    fn leave(&mut self, node: u32) {
        if self.low[node as usize] != self.index[node as usize] {
            return;
        }
        let at = self.open.iter().rposition(|open| *open == node).unwrap_or_default();
        let knot = self.open.split_off(at);
        knot.iter().for_each(|node| self.is_open[*node as usize] = false);
        if knot.len() > 1 {
            self.knots.push(knot);
        }
    }
}
