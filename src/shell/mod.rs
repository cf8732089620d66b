//! The shell: everything that touches the world. Sockets, clock, disk, signals, arguments and chance live
//! here and nowhere else; what they mean is the core's.
