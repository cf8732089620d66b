//! A ledger in the making: nobody sees it before it is whole, and then it takes its place at once.

use std::path::{Path, PathBuf};

use super::environment::{self, Environment};
use super::journal::Head;
use super::place::{self, Aside, Place};
use super::snapshot::{self, Snapshot};
use super::{StoreError, map_bytes, tie};
use crate::pool::record::Batch;

/// See the module.
pub struct Draft<'p> {
    place: &'p Place,
    making: PathBuf,
    names: Vec<String>,
    /// There until it is closed to be installed.
    environment: Option<Environment>,
}

impl<'p> Draft<'p> {
    /// An empty ledger for `pools`, which may grow to `map_mib`.
    pub fn begin(place: &'p Place, map_mib: usize, pools: &[String]) -> Result<Draft<'p>, StoreError> {
        let making = place.making()?;
        let environment = Environment::open(&making, map_bytes(map_mib), pools)?;
        Ok(Draft { place, making, names: pools.to_vec(), environment: Some(environment) })
    }

    /// Writes a batch for the pool at this place of the list.
    pub fn commit(&self, pool: usize, batch: &Batch) -> Result<(), StoreError> {
        let Environment { env, meta, pools, .. } = self.environment();
        let mut txn = env.write_txn()?;
        pools[pool].write(meta, &mut txn, batch)?;
        Ok(txn.commit()?)
    }

    /// Ties the pool at this place of the list to its chains, as the ledger that it is made from was.
    pub fn tie(&self, pool: usize, chains: &str) -> Result<(), StoreError> {
        let Environment { env, meta, .. } = self.environment();
        let mut txn = env.write_txn()?;
        meta.put(&mut txn, tie::key(&self.names[pool]).as_bytes(), chains.as_bytes())?;
        Ok(txn.commit()?)
    }

    /// Where the journal of a pool ends so far.
    pub fn head(&self, pool: usize) -> Result<Head, StoreError> {
        let Environment { env, meta, pools, .. } = self.environment();
        let txn = env.read_txn()?;
        pools[pool].head(meta, &txn)
    }

    /// Reads everything back, and makes this the ledger. One that was there stays beside it if `aside` says so;
    /// answers where.
    pub fn install(mut self, aside: Option<Aside>) -> Result<Option<PathBuf>, StoreError> {
        self.environment = None;
        Snapshot::open(&self.making)?.check()?;
        self.place.install(aside)
    }

    fn environment(&self) -> &Environment {
        self.environment.as_ref().expect("only install closes it, and takes the draft with it")
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.environment = None;
        // What stays is removed at the next start.
        let _ = place::remove(&self.making);
    }
}

impl Place {
    /// Makes a compact copy of the ledger in the directory `from`, whatever its format is, which is to be
    /// [installed](Place::install_copy).
    pub fn make_copy(&self, from: &Path) -> Result<(), StoreError> {
        let env = environment::open_for_reading(from)?;
        snapshot::copy(&env, &self.making()?.join(place::DATA))
    }

    /// Makes the copy that was made the ledger. The one that was there stays beside it; answers where.
    pub fn install_copy(&self) -> Result<Option<PathBuf>, StoreError> {
        self.install(Some(Aside::Replaced))
    }
}
