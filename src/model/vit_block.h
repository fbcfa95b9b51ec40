/* SPDX-License-Identifier: MIT */
/*
 * The pre-norm transformer block that both models are made of:
 *     x += out(attention(LN(x)));  x += fc2(gelu(fc1(LN(x))))
 * and the memory that a stack of them works in.
 */
#ifndef PV_MODEL_VIT_BLOCK_H
#define PV_MODEL_VIT_BLOCK_H

#include "ops/ops.h"

#include <stdbool.h>

typedef struct pv_vit_block {
    pv_norm_weight norm1, norm2; /* [D] */
    pv_linear_weight qkv;        /* [3*H*d, D]; not in a last block */
    pv_tensor same_qkv;          /* [N, 3*H*d], or none; not in a last block: qkv of the tokens that
                                    are the same in all sequences, 0 for the others */
    pv_linear_weight q, kv;      /* [H*d, D], [2*H*d, D]; only in a last block, which may need q of
                                    a few rows */
    const pv_linear_weight *k_heads, *v_heads; /* [H], in place of kv, or NULL: of each head W_k^T,
                                                  [D, d], and W_v, [d, D] */
    pv_linear_weight out;        /* [D, H*d] */
    pv_linear_weight fc1;        /* [M, D] */
    pv_linear_weight fc2;        /* [D, M] */
} pv_vit_block;

/* Sizes of a stack of blocks in one pass. */
typedef struct pv_vit_shape {
    size_t sequences; /* S */
    size_t tokens;    /* N */
    size_t width;     /* D */
    size_t heads;     /* H */
    size_t head_dim;  /* d */
    size_t hidden;    /* M */
    float scale;      /* of the attention's scores */
    pv_row_range vary; /* tokens that same_qkv does not have; none without one */
    pv_row_range keep; /* rows of each sequence that leave the last block */
    bool absorbed;     /* the last block has k_heads and v_heads */
} pv_vit_shape;

/* Views for S sequences of N tokens, of which n are kept. What is never alive at the same time
 * shares memory. */
typedef struct pv_vit_memory {
    pv_tensor x;     /* [S*N, D] the residual stream */
    pv_tensor h;     /* [S*N, D] what a norm leaves */
    pv_tensor qkv;   /* [S*N, 3*H*d] */
    pv_tensor att;   /* [S*N, H*d] */
    pv_tensor vary;  /* [S*vary.count, 3*H*d], qkv of these tokens, over att */
    pv_tensor hid;   /* [S*N, M], over qkv and att, like the next four */
    pv_tensor few;   /* [S*n, D] what a norm leaves of the kept rows */
    pv_tensor q;     /* [S*n, H*d] */
    pv_tensor q_x;   /* [S*n, H*D] q of each head, as x is multiplied by it */
    pv_tensor att_x; /* [S*n, H*D] what attention over x leaves for each head */
    pv_tensor kept;  /* [S*n, D] the residual stream of a last block that drops rows */
} pv_vit_memory;

/* Lays the views out from *offset on in `buffer` (NULL: only to count) and moves *offset behind
 * them; false if the sizes overflow. */
bool pv_vit_memory_lay(pv_vit_memory *memory, const pv_vit_shape *shape, pv_buffer *buffer,
                       size_t *offset);

/* The same views in the forms that the plan's device computes in, with weights of `store`. */
pv_vit_memory pv_vit_memory_for(const pv_plan *plan, const pv_store *store,
                                const pv_vit_shape *shape, const pv_vit_memory *memory);

/* All blocks over memory->x [S*N, D]. Returns where the result is: x, or `kept` [S*count, D]. */
pv_tensor pv_vit_blocks(pv_plan *plan, const pv_vit_block *blocks, size_t depth,
                        const pv_vit_shape *shape, const pv_vit_memory *memory);

#endif
