//! LMDB's environment with its databases open, for writing or for reading alone.

use std::path::Path;

use heed::types::{DecodeIgnore, Str};
use heed::{
    CommitOrAbort, CommitToken, DatabaseOpener, Env, EnvFlags, EnvOpenOptions, OnCommit, RoTxn, RwTxn, WithoutTls,
};

use super::place;
use super::records::{self, JOURNAL, PoolDatabases, Raw};
use super::{META, SCHEMA, SCHEMA_KEY, StoreError};
use crate::base::limits;

/// Room for the databases of pools that were renamed or taken out of the configuration.
const MAX_DATABASES: u32 = 1 + 4 * (limits::POOLS * records::PER_POOL) as u32;

/// LMDB's environment; reading transactions belong to themselves, so that one thread may have several.
pub(super) type Lmdb = Env<WithoutTls>;

/// The environment with every named database open.
pub(super) struct Environment {
    pub(super) env: Lmdb,
    pub(super) meta: Raw<'static>,
    pub(super) pools: Vec<PoolDatabases<'static>>,
    /// Every named database, also those of pools that are no longer configured.
    pub(super) all: Vec<Raw<'static>>,
}

/// Opens the environment in `directory` for writing, and makes it where there is none. The caller holds the directory's exclusive lock.
pub(super) fn open_for_writing(directory: &Path, map_bytes: usize) -> Result<Lmdb, StoreError> {
    place::make_empty(directory)?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_dbs(MAX_DATABASES);
    // SAFETY: the map is unsound only if the file changes beneath it. The directory is for this user alone (mode
    // 0700), and the exclusive lock that the caller holds keeps a second writer out.
    let env = unsafe { options.open(directory) }?;
    env.clear_stale_readers()?;
    Ok(env)
}

/// Opens the environment in `directory` for reading, also while another process writes.
pub(super) fn open_for_reading(directory: &Path) -> Result<Lmdb, StoreError> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(MAX_DATABASES);
    // SAFETY: only an edgepool of this user writes the file (its directory has mode 0700), by LMDB's own rules,
    // which LMDB's reader table makes safe for readers; replacing the file is a rename, which leaves an open one.
    let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(directory) }?;
    Ok(env)
}

impl Environment {
    /// Opens the environment for writing, and makes what is not there yet of it and of `pools`.
    pub(super) fn open(directory: &Path, map_bytes: usize, pools: &[String]) -> Result<Environment, StoreError> {
        let env = open_for_writing(directory, map_bytes)?;
        let opened = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
            Opening::create(opener, txn, pools).map(CommitOrAbort::<_, StoreError>::Commit)
        })?;
        let Opening { meta, pools, all } = Result::from(opened)?;
        Ok(Environment { env, meta, pools, all })
    }
}

/// The pools that have databases in the file.
pub(super) fn pool_names<'e>(
    opener: &DatabaseOpener<'e, WithoutTls>,
    txn: &RoTxn<'e, WithoutTls>,
) -> Result<Vec<String>, StoreError> {
    // LMDB lists the named databases as records of the unnamed one.
    let Some(main) = opener.open_database::<Str, DecodeIgnore>(txn, None)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for record in main.iter(txn)? {
        names.extend(record?.0.strip_suffix(JOURNAL).map(str::to_string));
    }
    Ok(names)
}

/// Refuses every format but the one that this edgepool writes.
pub(super) fn check_schema(stored: &[u8]) -> Result<(), StoreError> {
    match <[u8; 4]>::try_from(stored).map(u32::from_be_bytes) {
        Ok(SCHEMA) => Ok(()),
        Ok(found) => Err(StoreError::Schema { found, known: SCHEMA }),
        Err(_) => Err(records::damaged(META, SCHEMA_KEY, "is not a version number")),
    }
}

/// The databases while the transaction that opens them is under way.
struct Opening<'e> {
    meta: Raw<'e>,
    pools: Vec<PoolDatabases<'e>>,
    all: Vec<Raw<'e>>,
}

impl<'e> Opening<'e> {
    fn create(
        opener: &DatabaseOpener<'e, WithoutTls>,
        txn: &mut RwTxn<'e>,
        pools: &[String],
    ) -> Result<Opening<'e>, StoreError> {
        let meta: Raw = opener.create_database(txn, Some(META))?;
        match meta.get(txn, SCHEMA_KEY)? {
            None => meta.put(txn, SCHEMA_KEY, &SCHEMA.to_be_bytes())?,
            Some(stored) => check_schema(stored)?,
        }
        let mut create = |name: &str| Ok(opener.create_database(txn, Some(name))?);
        let pools = pools.iter().map(|pool| PoolDatabases::open(pool, &mut create)).collect::<Result<_, _>>()?;
        let main = opener.create_database::<Str, DecodeIgnore>(txn, None)?;
        let names = main.iter(txn)?.map(|record| Ok(record?.0.to_string())).collect::<Result<Vec<_>, heed::Error>>()?;
        let all =
            names.iter().map(|name| opener.create_database(txn, Some(name))).collect::<Result<_, heed::Error>>()?;
        Ok(Opening { meta, pools, all })
    }
}

impl OnCommit for Opening<'_> {
    type Committed = Opening<'static>;

    fn on_commit(self, token: &CommitToken) -> Opening<'static> {
        Opening {
            meta: self.meta.on_commit(token),
            pools: self.pools.into_iter().map(|pool| pool.on_commit(token)).collect(),
            all: self.all.into_iter().map(|database| database.on_commit(token)).collect(),
        }
    }
}
