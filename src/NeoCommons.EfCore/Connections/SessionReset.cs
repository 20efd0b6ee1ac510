namespace NeoCommons.EfCore;

/// <summary>When a pooled connection is reset between two leases.</summary>
public enum SessionReset
{
    /// <summary>
    /// Always, the default: Npgsql sends its own reset (<c>DISCARD ALL</c>, or seven statements once anything is prepared)
    /// with the first command of each lease.
    /// </summary>
    Always,

    /// <summary>
    /// Only after a lease that may have changed the session. One in which nothing but EF's own commands ran leaves nothing
    /// to reset, and the server saves that work, a large part of a short query.
    /// </summary>
    /// <remarks>
    /// <para>
    /// A lease is marked by raw SQL, by <c>Database.GetDbConnection()</c>, transactions begun through <c>Database</c>, a
    /// connection that the application opens itself, read-only contexts, functions mapped in the model, interceptors of
    /// the application, and connections of <see cref="IDatabaseConnections"/>. The next lease of a
    /// marked connection resets it in the same message as its bind. A data source that was handed out
    /// (<see cref="IDatabaseConnections.GetDataSourceAsync"/>) is reset always: nobody sees what its connections do.
    /// </para>
    /// <para>
    /// A <c>TransactionScope</c> is refused with <see cref="TenantIsolationException"/>: a session that falls back when it ends
    /// falls back to what the lease before has left. <c>Database.BeginTransactionAsync()</c> works.
    /// </para>
    /// <para>
    /// What is not seen: triggers, rules and defaults of the tenant's own tables that change the session, and EF services
    /// resolved from the context (<c>GetService&lt;IRelationalConnection&gt;()</c>). Keep <see cref="Always"/> where they do
    /// that.
    /// </para>
    /// </remarks>
    WhenUsed,
}
