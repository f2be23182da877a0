-------------------------- MODULE StreamCutDurable --------------------------
(* All streams together are a durable log of commits.  What of it a crash has *)
(* left shows when the store is open again.                                   *)
EXTENDS StreamCut
Log == INSTANCE DurableLog WITH
  Groups <- {<<t>> : t \in Txns},
  Ordered <- FALSE,
  log <- SelectSeq(order, LAMBDA t : state[t] \in {"committed", "recovered"}),
  acked <- acked
IsDurableLog == Log!Spec
=============================================================================
