//! The whole pure core, driven as the daemon drives it: scripted nodes and rigs, a disk that fails on
//! demand, and virtual time.

mod allocations;
mod aux_blocks;
mod blocks;
mod coinbases;
mod cuts;
mod deaths;
mod disk;
mod fraud;
mod handover;
mod history;
mod line;
mod made_up;
mod merged;
mod merged_block;
mod merged_deaths;
mod merged_face;
mod merged_ledger;
mod merged_names;
mod merged_nodes;
mod networks;
mod node;
mod nodes;
mod payments;
mod reorganisations;
mod resume;
mod rig;
mod scene;
mod shares;
mod storm;
mod terms;
mod times;
mod vardiff;
mod wallet;
