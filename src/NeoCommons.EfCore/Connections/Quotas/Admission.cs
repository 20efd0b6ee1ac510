using System.Diagnostics.CodeAnalysis;

namespace NeoCommons.EfCore;

/// <summary>Lets those who open connections wait for their turn: at the limit of their tenant, and then at the pool's.</summary>
/// <remarks>
/// All waiting of one open together ends at the row's pool timeout. The driver has a queue too, which a caller reaches only
/// where connections are taken that no permit counts: of a data source that was handed out, or of a <c>TransactionScope</c> that
/// goes on.
/// </remarks>
internal sealed class Admission(TimeProvider time)
{
    /// <summary>Takes what a connection of the pool takes; give it back with <see cref="ConnectionPermits.Release"/>.</summary>
    /// <exception cref="TenantQuotaExceededException">The tenant has as many connections, or callers that wait, as it may.</exception>
    /// <exception cref="ConnectionUnavailableException">The pool was full for too long, or is no more.</exception>
    public ValueTask AdmitAsync(
        ConnectionPermits permits,
        PooledDataSource source,
        OpenUse use,
        bool async,
        CancellationToken ct
    )
    {
        // Within a TransactionScope a connection that was closed is still its scope's: who waits for it must not be waited for.
        if (AmbientScope.IsPresent)
        {
            Take(permits, source);
            return ValueTask.CompletedTask;
        }

        if (source.Quarantine.PauseOf(permits.Limiter) > TimeSpan.Zero || !permits.TryTake(source))
        {
            return WaitAsync(permits, source, use, async, ct);
        }

        try
        {
            MakeRoom(permits, source);
        }
        catch
        {
            permits.Release();
            throw;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Counts a connection that somebody else has opened already.</summary>
    /// <exception cref="TenantQuotaExceededException">The tenant has as many connections as it may.</exception>
    public static void Count(ConnectionPermits permits, PooledDataSource source)
    {
        if (AmbientScope.IsPresent)
        {
            Take(permits, source);
            return;
        }

        if (permits.Limiter is { } limiter)
        {
            if (!limiter.Connections.TryTake())
            {
                limiter.Activity.Refused();
                source.Figures?.ConnectionRefused();
                throw QuotaRefusal.NoConnectionAtOnce(limiter);
            }

            permits.HoldTenants(limiter);
        }

        TakeOfPool(permits, source);
    }

    private static void Take(ConnectionPermits permits, PooledDataSource source)
    {
        if (permits.Limiter is { } limiter)
        {
            limiter.Connections.Take();
            permits.HoldTenants(limiter);
        }

        TakeOfPool(permits, source);
    }

    private static void TakeOfPool(ConnectionPermits permits, PooledDataSource source)
    {
        source.Gate.Take();
        permits.HoldPools(source.Gate);
        source.Server.Gate.Take();
        permits.HoldServers(source);
    }

    // As long as as many were in use before, an idle one serves; and what reads at a standby costs the primary nothing.
    private static void MakeRoom(ConnectionPermits permits, PooledDataSource source)
    {
        if (permits.Grows && !(permits.Reads && source.Hosts!.ReadsAtStandby(permits.Limiter!.Tenant.Id)))
        {
            source.Server.CloseSurplus(except: permits.IsApart || source.Hosts is not null ? null : source);
        }
    }

    private async ValueTask WaitAsync(
        ConnectionPermits permits,
        PooledDataSource source,
        OpenUse use,
        bool async,
        CancellationToken ct
    )
    {
        var started = time.GetTimestamp();
        var timeout = source.Row.PoolTimeout;
        var ended = use == OpenUse.Movable ? source.Life.Retiring : source.Life.Closing;
        source.CountWaiting(1);
        try
        {
            source.Breaker.ThrowIfOpen();
            source.Hosts?.Outage.ThrowIfOn();
            var limiter = permits.Limiter;
            if (limiter is not null && !permits.HasTenants)
            {
                await PauseAsync(limiter).ConfigureAwait(false);
                await PassAsync(limiter.Connections).ConfigureAwait(false);
                permits.HoldTenants(limiter);
            }

            if (!permits.HasPools)
            {
                await PassAsync(source.Gate).ConfigureAwait(false);
                permits.HoldPools(source.Gate);
            }

            source.Server.NoteUse(waiting: 1);
            await PassAsync(source.Server.Gate).ConfigureAwait(false);
            permits.HoldServers(source);
            MakeRoom(permits, source);
        }
        catch
        {
            permits.Release();
            throw;
        }
        finally
        {
            source.CountWaiting(-1);
        }

        // Before anything is taken, and no more of its callers than may wait for a connection.
        async ValueTask PauseAsync(TenantLimiter limiter)
        {
            var pause = source.Quarantine.PauseOf(limiter);
            if (pause <= TimeSpan.Zero)
            {
                return;
            }

            if (pause >= timeout - time.GetElapsedTime(started))
            {
                limiter.Activity.Refused();
                throw QuotaRefusal.KeptApart(limiter, source.Row, pause);
            }

            var outcome = await limiter
                .Pauses.TakeAsync(limiter.Tenant.Id, limiter.MaxWaiting, pause, time, ended, async, ct)
                .ConfigureAwait(false);
            if (outcome == GateOutcome.Full)
            {
                limiter.Activity.Refused();
                throw QuotaRefusal.TooManyWaiting(limiter);
            }

            if (outcome == GateOutcome.Ended)
            {
                ThrowEnded();
            }
        }

        async ValueTask PassAsync(FairGate gate)
        {
            source.Breaker.ThrowIfOpen();
            source.Hosts?.Outage.ThrowIfOn();
            var limiter = permits.Limiter;
            var outcome = await gate.TakeAsync(
                    limiter?.Tenant.Id ?? default,
                    limiter?.MaxWaiting ?? int.MaxValue,
                    timeout - time.GetElapsedTime(started),
                    time,
                    ended,
                    async,
                    ct,
                    source
                )
                .ConfigureAwait(false);
            switch (outcome)
            {
                case GateOutcome.Taken:
                    return;
                case GateOutcome.Full:
                    limiter!.Activity.Refused();
                    throw QuotaRefusal.TooManyWaiting(limiter);
                case GateOutcome.TimedOut when limiter is not null && ReferenceEquals(gate, limiter.Connections):
                    limiter.Activity.Refused();
                    throw QuotaRefusal.TooManyConnections(limiter, timeout);
                case GateOutcome.TimedOut when ReferenceEquals(gate, source.Gate):
                    source.Figures?.TimedOut(1);
                    if (source is { Hosts: null, Row.Pooler: PoolerMode.None })
                    {
                        // Those who have the connections may all wait for a server that says nothing. A pooler has the library itself wait
                        // behind them.
                        source.Breaker.GivenUp(started);
                    }

                    throw OpenFailure.Exhausted(source.Row);
                case GateOutcome.TimedOut:
                    source.Figures?.TimedOut(1);
                    throw OpenFailure.ServerExhausted(source.Row, source.Server);
                default:
                    ThrowEnded();
                    return;
            }
        }

        [DoesNotReturn]
        void ThrowEnded()
        {
            if (!ended.IsCancellationRequested)
            {
                source.Breaker.ThrowIfFailed();
                source.Hosts?.Outage.ThrowIfOn();
            }

            throw OpenFailure.Ended(source);
        }
    }
}
