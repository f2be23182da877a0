//! Reads what is sound of a damaged tree, and names what is not.
//!
//! The walk goes down from the root and passes over nodes that cannot be read. Their parents say which keys are lost with
//! them. Below a damaged inner node the leaves are looked for one by one: each says which keys it holds.

use super::Tree;
use super::check::{Expected, children, is_as_expected};
use crate::findings::{LostRange, Salvaged, Sink};
use crate::rows::{Damage, FILE, Leaves, below, leaf};
use aether_page::node::Node;
use aether_page::{Swip, check_page};
use aether_txn::ReadView;
use aether_txn::recovery::wal::buffer::Shared;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{ErrorKind, Result};

impl Tree {
    /// Goes down from the root and passes over nodes that cannot be read.
    pub(super) fn salvage_from_root(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        let mut todo = vec![Expected { page: self.root(), level: None, lower: None, upper: None }];
        while let Some(expected) = todo.pop() {
            match self.sound_node(&expected)? {
                Ok(guard) => {
                    let node = Node::new(guard.view());
                    if node.is_leaf() {
                        leaf(self, &node, view, sink)?;
                    } else {
                        todo.extend(children(&node).into_iter().rev());
                    }
                }
                Err(what) if expected.level == Some(0) => sink(Salvaged::Lost(lost(&expected, what)))?,
                Err(what) => {
                    let Expected { page, lower, upper, .. } = expected;
                    let damage = Damage { page: Some(page), lower, upper, what: &what };
                    below(self, &damage, view, sink)?;
                }
            }
        }
        Ok(())
    }

    /// The node, or why it cannot be used.
    fn sound_node(&self, expected: &Expected) -> Result<Result<Shared<'_>, String>> {
        let guard = match self.pool().shared(FILE, Swip::new(expected.page)) {
            Ok(guard) => guard,
            Err(error) if error.kind() == ErrorKind::Corruption => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let node = Node::new(guard.view());
        let wrong = is_as_expected(self, &node, expected).chain(check_page(guard.view())).next();
        Ok(match wrong {
            None => Ok(guard),
            Some(what) => Err(format!("{}: {what}", expected.page)),
        })
    }
}

fn lost(expected: &Expected, what: String) -> LostRange {
    LostRange { page: Some(expected.page), from: expected.lower.clone(), to: expected.upper.clone(), what }
}
