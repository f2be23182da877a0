--------------------------- MODULE SnapshotsStore ---------------------------
(* Transactions that write in place, prepare and abort are a list of states.  *)
EXTENDS Snapshots, Sequences
Store == INSTANCE SnapshotStore WITH
  states <- [i \in 1..(clock + 1) |-> [k \in Keys |-> Shown(k, i - 1)]],
  begun <- [t \in Txns |-> IF status[t] = "new" THEN 0 ELSE snap[t] + 1],
  over <- Committed
IsSnapshotStore == Store!Spec
=============================================================================
