--------------------------- MODULE SnapshotStore ----------------------------
(* What isolation by snapshots is to those above: a list of states.  Who      *)
(* begins takes the newest as its own and reads there; a commit adds a state  *)
(* that differs from the newest by what it wrote, and is refused if another   *)
(* has written any of that since.                                             *)
EXTENDS Naturals, Sequences
CONSTANTS Txns, Keys, None
VARIABLES states,     \* key -> writer, one for each commit; 0 at first
          begun,      \* transaction -> the number of states it began with, 0: not begun
          over,       \* transactions that have committed
          read        \* transaction -> key -> whose version it read, or None
Init ==
  /\ states = <<[k \in Keys |-> 0]>> /\ begun = [t \in Txns |-> 0] /\ over = {}
  /\ read = [t \in Txns |-> [k \in Keys |-> None]]
Begin == \E t \in Txns :
  /\ begun[t] = 0 /\ begun' = [begun EXCEPT ![t] = Len(states)]
  /\ states' = states /\ over' = over /\ read' = read
Read == \E t \in Txns, some \in SUBSET Keys :
  /\ begun[t] # 0 /\ t \notin over
  /\ read' = [read EXCEPT ![t] = [k \in Keys |-> IF k \in some THEN states[begun[t]][k] ELSE read[t][k]]]
  /\ states' = states /\ over' = over /\ begun' = begun
Commit == \E t \in Txns, some \in SUBSET Keys :
  /\ begun[t] # 0 /\ t \notin over /\ over' = over \cup {t}
  /\ \A i \in begun[t]..Len(states), k \in some : states[i][k] = states[begun[t]][k]
  /\ states' = Append(states, [k \in Keys |-> IF k \in some THEN t ELSE states[Len(states)][k]])
  /\ begun' = begun /\ read' = read
Next == Begin \/ Read \/ Commit
Spec == Init /\ [][Next]_<<states, begun, over, read>>
=============================================================================
