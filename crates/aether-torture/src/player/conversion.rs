//! A conversion of a keyspace, with a transaction while rows are copied.
//!
//! That the keyspace is of another kind is a state of its own, after that of the transaction. It is requested as soon as the conversion
//! may come so far.

use super::Player;
use crate::oracle::failed;
use crate::script::{Conversion, End};
use aether_kv::{Conversion as Converted, DbEnv};
use aether_sync::Arc;
use core::ops::ControlFlow;

impl Player<'_> {
    pub(super) fn convert(&mut self, env: &DbEnv, script: &Conversion) {
        let forbidden = self.is_after_failed_sync();
        let mut is_under_way = false;
        let outcome = env.convert_with(script.space, script.to.options(), |_| {
            if !is_under_way {
                is_under_way = true;
                self.transaction(env, &script.during);
                self.request_switch(script);
            }
            if script.is_broken_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.off_script |= !is_under_way && script.during.end != End::Abort;
        self.settle_conversion(script, outcome, forbidden, is_under_way);
    }

    fn request_switch(&mut self, script: &Conversion) {
        if !script.is_broken_off {
            let after = self.run.history.newest().converted(script.space, script.to);
            self.run.history.request(Arc::new(after));
        }
    }

    fn settle_conversion(
        &mut self,
        script: &Conversion,
        outcome: aether_kv::Result<Option<Converted>>,
        forbidden: bool,
        is_under_way: bool,
    ) {
        match outcome {
            Ok(None) if script.is_broken_off => {}
            Ok(Some(_)) if !script.is_broken_off && is_under_way => {
                self.settle(End::Commit, Ok(()), forbidden);
            }
            Ok(_) => self.run.broken = Some("a conversion ended other than it should".into()),
            Err(error) => {
                self.off_script = true;
                if is_under_way && !script.is_broken_off {
                    self.refused(error.kind());
                }
                let _: Option<()> = self.note(Err(failed("convert")(error)));
            }
        }
    }
}
