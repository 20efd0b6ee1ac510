using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The registry and the database of one tenant, opened to change both: one transaction where they are the same.</summary>
/// <remarks>
/// Elsewhere the tenant's database commits first. Who is killed in between leaves a schema that its mark identifies and a
/// row that leads nowhere, and repeating the command finishes it.
/// </remarks>
internal sealed class TenantPlace : IAsyncDisposable
{
    private readonly NpgsqlConnection _session;
    private readonly PooledDataSource? _source;
    private readonly NpgsqlConnection? _own;
    private NpgsqlTransaction? _schemaTransaction;
    private IDbContextTransaction? _transaction;

    private TenantPlace(NpgsqlConnection session, PooledDataSource? source, NpgsqlConnection? own)
    {
        _session = session;
        _source = source;
        _own = own;
        Context = AdminSchema.ContextOn(session);
    }

    /// <summary>The registry.</summary>
    public AdminDbContext Context { get; }

    /// <summary>An unpooled session of the admin database: its locks end with it.</summary>
    public NpgsqlConnection Session => _session;

    /// <summary>A session where the tenant's schema lies.</summary>
    public NpgsqlConnection Schema => _own ?? _session;

    /// <summary>The row of the tenant's database; null where only the registry was opened.</summary>
    public DatabaseConnection? Row => _source?.Row;

    /// <summary>Opens the registry alone.</summary>
    public static async Task<TenantPlace> OpenAsync(AdminDatabase database, CancellationToken ct) =>
        new(await database.OpenUnpooledAsync(ct).ConfigureAwait(false), null, null);

    /// <summary>Opens registry and database.</summary>
    public static async Task<TenantPlace> OpenAsync(
        AdminDatabase database,
        PooledDataSource source,
        ConnectionOpening opening,
        CancellationToken ct
    )
    {
        NpgsqlConnection? session = null;
        try
        {
            session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
            var own = database.IsSame(source.Row)
                ? null
                : await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            return new TenantPlace(session, source, own);
        }
        catch
        {
            if (session is not null)
            {
                await session.DisposeAsync().ConfigureAwait(false);
            }

            source.Release();
            throw;
        }
    }

    /// <summary>Begins to change; a wait in <paramref name="lockSchemas"/> holds nothing of the registry.</summary>
    public async Task BeginAsync(Func<NpgsqlConnection, Task>? lockSchemas, CancellationToken ct)
    {
        if (_own is not null)
        {
            _schemaTransaction = await _own.BeginTransactionAsync(ct).ConfigureAwait(false);
            await (lockSchemas?.Invoke(_own) ?? Task.CompletedTask).ConfigureAwait(false);
        }

        _transaction = await Context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        if (_own is null)
        {
            await (lockSchemas?.Invoke(_session) ?? Task.CompletedTask).ConfigureAwait(false);
        }
    }

    /// <summary>The row as it is now, kept from others until the end of the transaction.</summary>
    /// <exception cref="TenantNotFoundException">There is none.</exception>
    public async Task<TenantEntity> LockRowAsync(TenantId tenant, CancellationToken ct)
    {
        Context.ChangeTracker.Clear();
        await Context
            .Database.ExecuteSqlAsync($"SELECT FROM admin.tenants WHERE id = {tenant.Value} FOR UPDATE", ct)
            .ConfigureAwait(false);
        return await FindRowAsync(tenant, ct).ConfigureAwait(false);
    }

    /// <summary>The row.</summary>
    /// <exception cref="TenantNotFoundException">There is none.</exception>
    public async Task<TenantEntity> FindRowAsync(TenantId tenant, CancellationToken ct) =>
        await Context
            .Tenants.Include(t => t.Connection)
            .SingleOrDefaultAsync(t => t.Id == tenant.Value, ct)
            .ConfigureAwait(false)
        ?? throw new TenantNotFoundException(tenant);

    /// <summary>Commits both; another change may then begin.</summary>
    public async Task CommitAsync(CancellationToken ct)
    {
        if (_schemaTransaction is not null)
        {
            await _schemaTransaction.CommitAsync(ct).ConfigureAwait(false);
            await _schemaTransaction.DisposeAsync().ConfigureAwait(false);
            _schemaTransaction = null;
        }

        // The schema's is done: nothing may come between.
        await _transaction!.CommitAsync(CancellationToken.None).ConfigureAwait(false);
        await _transaction.DisposeAsync().ConfigureAwait(false);
        _transaction = null;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_transaction is not null)
            {
                await _transaction.DisposeAsync().ConfigureAwait(false);
            }

            await Context.DisposeAsync().ConfigureAwait(false);
            await _session.DisposeAsync().ConfigureAwait(false);
            if (_own is not null)
            {
                await _own.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _source?.Release();
        }
    }
}
