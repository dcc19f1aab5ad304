/*
 * chain: who waits for whom among the unfinished rows of one card. A row that waits (row.behind) does so for the nearest earlier unfinished
 * one; the first of them waits only where a later one, overtaken by an operator's word, is on the wire. What waits for a row in doubt does
 * not see an earlier one that was tried again since: whoever takes a row out of doubt has the card put in order. The time that a row has
 * left (row.give_up) stands still while it waits. A turn is open.
 */
#pragma once

#include "queue/internal.h"

/* chain_let_next_go is told that a row of this endpoint (-1: none) no longer holds back others of its card: the first of those behind it
 * may go, and the others wait for that one. */
bool chain_let_next_go(struct queue *queue, int64_t row, int endpoint, int64_t now_ms);

/* chain_put_in_order looks through all rows of the row's card and lets each wait for what it must. */
bool chain_put_in_order(struct queue *queue, int64_t row, int64_t now_ms);

/* chain_row_back is told that a row was on the wire and is not finished. Whoever waited for it and comes before it goes first. */
bool chain_row_back(struct queue *queue, int64_t row, int64_t now_ms);
