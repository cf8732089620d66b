//! What rigs really say, byte for byte, and what each needs to hear back. The requests are those that the clients'
//! sources write (or that were logged from closed firmware); answers are read by the rules of each client's own
//! parser. Every client has a dialogue in which a share that is mined here is credited, nearly all also one in which
//! another is refused with a reason that the client shows; the rest is what is particular about it.

mod bfgminer;
mod bmminer;
mod braiins;
mod cgminer;
mod esp_miner;
mod extranonce;
mod job;
mod minerd;
mod nicehash;
mod node;
mod operator;
mod reading;
mod rental;
mod rules;
mod table;
mod whatsminer;
