/*
 * ROD tokens (SPC-4 5.17.6, SBC-3 5.7): a token stands for the data that ranges of a logical unit held when POPULATE TOKEN
 * made it. Their type is "point in time copy, change vulnerable" (00800001h): nothing is copied at that moment, and the
 * first write to any of the ranges revokes the token.
 *
 * Why that is exact: POPULATE TOKEN makes the token while it holds the ranges exclusively, so that no write is under way;
 * each write that comes later takes its range lock, revokes what it overlaps, and only then reaches the store; who uses a
 * token reads first and then asks whether it is still valid.
 *
 * For the fast path this is one load of scsi_lu.valid_tokens, which is 0 unless a client of this kind is at work.
 *
 * Tokens live in the memory of this worker: they end with it (the client is told "unknown" and copies by itself), and they
 * know only of writes through it. A logical unit that several hosts write to at the same time cannot have tokens of this
 * type; none does yet.
 *
 * Any thread; guarded by the lu lock.
 */
#ifndef LUNETTE_SCSI_TOKEN_H
#define LUNETTE_SCSI_TOKEN_H

#include "dataplane/scsi/copy_list.h"
#include "dataplane/scsi/internal.h"

#define TOKENS_MAX             64u /* of a logical unit: those that are spent give way, valid ones do not */
#define TOKEN_INACTIVITY_S     30u /* default */
#define TOKEN_INACTIVITY_MAX_S 300u
#define TOKEN_LIFETIME_MAX_S   3600u
#define TOKEN_BYTES_MAX        (256u << 20) /* data that a token stands for */
#define TOKEN_OPTIMAL_BYTES    (64u << 20)
#define TOKEN_WRITE_MS         3000u /* WRITE USING TOKEN answers then, with what it has done; Windows waits 4 s */

enum { ROD_POINT_IN_TIME = 0x00800000, ROD_CHANGE_VULNERABLE = 0x00800001, ROD_ANY_POINT_IN_TIME = 0x0080ffff,
       ROD_BLOCK_ZERO = (int)0xffff0001 };

/* 0; -EAGAIN: TOKENS_MAX are valid; -ENOMEM. The caller holds the ranges exclusively. ret_token: COPY_TOKEN_BYTES. */
int scsi_token_create(struct scsi_lu *lu, const struct copy_ranges *ranges, uint32_t inactivity_s, uint64_t now_ns,
		      uint8_t *ret_token);

/* What a logical unit says of a token. */
enum token_answer { TOKEN_VALID, TOKEN_UNKNOWN, TOKEN_CORRUPT, TOKEN_REVOKED, TOKEN_EXPIRED };
/* VALID: its ranges, and its inactivity timer starts anew. */
enum token_answer scsi_token_use(struct scsi_lu *lu, const uint8_t *token, uint64_t now_ns, struct copy_ranges *ret_ranges);
uint64_t scsi_token_id(const uint8_t *token);
bool scsi_token_valid(struct scsi_lu *lu, uint64_t id);
void scsi_token_delete(struct scsi_lu *lu, uint64_t id);
void scsi_tokens_free(struct scsi_lu *lu);

/* Of a range that is about to be written, whose range lock is held. */
void scsi_tokens_revoke(struct scsi_lu *lu, uint64_t lba, uint64_t blocks);
static inline void scsi_tokens_overwritten(struct scsi_lu *lu, uint64_t lba, uint64_t blocks)
{
	if (__builtin_expect(atomic_load_explicit(&lu->valid_tokens, memory_order_acquire) != 0, 0))
		scsi_tokens_revoke(lu, lba, blocks);
}

#endif
