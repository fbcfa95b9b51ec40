/* SPDX-License-Identifier: MIT */
/*
 * The passes of an encoder that no call is using. A call takes one of its shape, or records a new
 * one, and gives it back, so that in the steady state nothing is allocated. Thread-safety: safe.
 */
#ifndef PV_API_POOL_H
#define PV_API_POOL_H

#include "model/pass.h"

#include <pthread.h>

/* Records a pass of the model behind `model`. */
typedef psgvit_status (*pv_record_fn)(const void *model, const pv_pass_shape *shape, pv_pass **pass,
                                      psgvit_error *err);

/* Epochs of the largest batch that memory had room for: at all, and a second time while the first
 * one was under way. At first no limit. */
typedef struct pv_room {
    size_t once, twice;
} pv_room;

typedef struct pv_pool {
    pthread_mutex_t lock;
    pv_pass *idle; /* the last used first */
    pv_room room;
    psgvit_device *device;
    pv_record_fn record;
    const void *model;
} pv_pool;

psgvit_status pv_pool_create(pv_pool *pool, psgvit_device *device, pv_record_fn record,
                             const void *model, psgvit_error *err);
void pv_pool_destroy(pv_pool *pool);

psgvit_status pv_pool_take(pv_pool *pool, const pv_pass_shape *shape, pv_pass **pass,
                           psgvit_error *err);
void pv_pool_give_back(pv_pool *pool, pv_pass *pass);
/* Passes that nobody uses give their memory back; false if there are none. */
bool pv_pool_drop_idle(pv_pool *pool);

pv_room pv_pool_room(pv_pool *pool);
/* A batch of `failed` epochs, at least 2, found no memory: from now on batches have half of it at
 * most. Returns that. */
size_t pv_pool_halve(pv_pool *pool, size_t failed);
/* A batch of `failed` epochs found none beside another: from now on they go one by one. */
void pv_pool_go_single(pv_pool *pool, size_t failed);

#endif
