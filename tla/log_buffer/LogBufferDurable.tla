-------------------------- MODULE LogBufferDurable --------------------------
(* A stream is a durable log of positions: what is claimed is appended, what  *)
(* a crash leaves is what stands in the file.                                 *)
EXTENDS LogBuffer, Sequences
End == IF mode = "down" THEN device ELSE position
Log == INSTANCE DurableLog WITH
  Groups <- {[i \in 1..n |-> p + i - 1] : p \in Start..PositionsMax, n \in 1..Block},
  Ordered <- TRUE,
  log <- [i \in 1..(End - Start) |-> IF mode = "down" /\ Start + i - 1 >= file.good THEN 0 ELSE Start + i - 1],
  acked <- {p \in Start..PositionsMax : p < answered}
IsDurableLog == Log!Spec
=============================================================================
