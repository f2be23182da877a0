//! Whole-engine simulation and oracle
