//! `import`: the rows of another engine's file, a durable transaction per batch.
//!
//! Each engine is a cargo feature with a file of its own, which opens the source, finds the table, and hands its
//! rows to the loader. The home is opened after that, so that a source that cannot be read creates nothing.

#[cfg(feature = "import-fjall")]
mod fjall;
#[cfg(feature = "import-lmdb")]
mod lmdb;
#[cfg(feature = "import-redb")]
mod redb;
#[cfg(feature = "import-rocksdb")]
mod rocksdb;
#[cfg(feature = "import-sled")]
mod sled;
#[cfg(feature = "import")]
mod source;
#[cfg(feature = "import-sqlite")]
mod sqlite;

use crate::arguments::{Common, Import, StoreKind};
use crate::exit::{Failure, Outcome};
use clap::ValueEnum;

pub(crate) fn run(common: &Common, arguments: &Import) -> Outcome {
    let names_columns = arguments.key_column.is_some() || arguments.value_column.is_some();
    if names_columns && arguments.from != StoreKind::Sqlite {
        return Err(Failure::input("--key-column and --value-column go with --from sqlite"));
    }
    read(common, arguments)
}

#[cfg(feature = "import")]
fn read(common: &Common, arguments: &Import) -> Outcome {
    let job = || source::Job::new(common, arguments);
    match arguments.from {
        #[cfg(feature = "import-lmdb")]
        StoreKind::Lmdb => lmdb::run(&job()?),
        #[cfg(feature = "import-redb")]
        StoreKind::Redb => redb::run(&job()?),
        #[cfg(feature = "import-fjall")]
        StoreKind::Fjall => fjall::run(&job()?),
        #[cfg(feature = "import-sled")]
        StoreKind::Sled => sled::run(&job()?),
        #[cfg(feature = "import-sqlite")]
        StoreKind::Sqlite => sqlite::run(&job()?),
        #[cfg(feature = "import-rocksdb")]
        StoreKind::Rocksdb => rocksdb::run(&job()?),
        #[allow(unreachable_patterns)]
        kind => Err(not_built(kind)),
    }
}

#[cfg(not(feature = "import"))]
fn read(_: &Common, arguments: &Import) -> Outcome {
    Err(not_built(arguments.from))
}

/// The failure of a build without the engine's feature.
#[cfg_attr(feature = "import", allow(dead_code))]
fn not_built(kind: StoreKind) -> Failure {
    let name = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Failure::input(format!(
        "this build cannot read {name}: build with `cargo build -p aether-cli --features import-{name}`"
    ))
}
