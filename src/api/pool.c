/* SPDX-License-Identifier: MIT */
/* The list of idle passes behind its lock, and what is remembered of memory that ran out. */
#include "api/pool.h"

/* Shapes whose passes are kept: a job's full batch and its rest, for two kinds of job. */
enum { SHAPES_KEPT = 4 };

psgvit_status pv_pool_create(pv_pool *pool, psgvit_device *device, pv_record_fn record,
                             const void *model, psgvit_error *err)
{
    *pool = (pv_pool){
        .room = {SIZE_MAX, SIZE_MAX}, .device = device, .record = record, .model = model};
    if (pthread_mutex_init(&pool->lock, NULL))
        return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: a lock");
    return PSGVIT_OK;
}

static void destroy_all(pv_pass *pass)
{
    while (pass) {
        pv_pass *next = pass->next;
        pv_pass_destroy(pass);
        pass = next;
    }
}

void pv_pool_destroy(pv_pool *pool)
{
    destroy_all(pool->idle);
    pthread_mutex_destroy(&pool->lock);
}

static bool same(const pv_pass_shape *a, const pv_pass_shape *b)
{
    return a->epochs == b->epochs && a->samples == b->samples && a->wanted == b->wanted &&
           a->exact == b->exact && a->profiled == b->profiled;
}

psgvit_status pv_pool_take(pv_pool *pool, const pv_pass_shape *shape, pv_pass **pass,
                           psgvit_error *err)
{
    pthread_mutex_lock(&pool->lock);
    pv_pass **at = &pool->idle;
    while (*at && !same(&(*at)->shape, shape))
        at = &(*at)->next;
    *pass = *at;
    if (*pass)
        *at = (*pass)->next;
    pthread_mutex_unlock(&pool->lock);
    return *pass ? PSGVIT_OK : pool->record(pool->model, shape, pass, err);
}

/* Unlinks and returns the passes of shapes beyond the SHAPES_KEPT last used ones. */
static pv_pass *unlink_surplus(pv_pool *pool)
{
    pv_pass_shape kept[SHAPES_KEPT];
    size_t count = 0;
    pv_pass *surplus = NULL;
    for (pv_pass **at = &pool->idle; *at;) {
        pv_pass *pass = *at;
        size_t i = 0;
        while (i < count && !same(&kept[i], &pass->shape))
            i++;
        if (i == count && count < SHAPES_KEPT)
            kept[count++] = pass->shape;
        if (i < SHAPES_KEPT) {
            at = &pass->next;
        } else {
            *at = pass->next;
            pass->next = surplus;
            surplus = pass;
        }
    }
    return surplus;
}

void pv_pool_give_back(pv_pool *pool, pv_pass *pass)
{
    pthread_mutex_lock(&pool->lock);
    pass->next = pool->idle;
    pool->idle = pass;
    pv_pass *surplus = unlink_surplus(pool);
    pthread_mutex_unlock(&pool->lock);
    destroy_all(surplus);
}

bool pv_pool_drop_idle(pv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pv_pass *idle = pool->idle;
    pool->idle = NULL;
    pthread_mutex_unlock(&pool->lock);
    destroy_all(idle);
    return idle;
}

/* ---- what memory has room for ---- */

pv_room pv_pool_room(pv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pv_room room = pool->room;
    pthread_mutex_unlock(&pool->lock);
    return room;
}

/* Another thread may have found less. */
static void lower(pv_pool *pool, size_t *limit, size_t value)
{
    pthread_mutex_lock(&pool->lock);
    if (value < *limit)
        *limit = value;
    pthread_mutex_unlock(&pool->lock);
}

size_t pv_pool_halve(pv_pool *pool, size_t failed)
{
    size_t half = failed / 2;
    lower(pool, &pool->room.once, half);
    pv_log_line(&pool->device->log, PSGVIT_LOG_WARNING,
                "memory has no room for a batch of %zu epochs: going on with %zu", failed, half);
    return half;
}

void pv_pool_go_single(pv_pool *pool, size_t failed)
{
    lower(pool, &pool->room.twice, failed - 1);
    pv_log_line(&pool->device->log, PSGVIT_LOG_WARNING,
                "memory has no room for two batches of %zu epochs: going on with one at a time",
                failed);
}
