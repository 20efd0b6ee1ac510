using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Isolation.Tests.Fuzz;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>What an application does in one lease, synchronously or not, while something goes wrong.</summary>
internal sealed class FaultWork(FaultApp app, FaultCase fault, CanaryContext context, CancellationToken ct)
{
    private static readonly Tenant[] None = [];

    private readonly Tenant _tenant = app.Tenants[0];

    /// <summary>Rows that somebody has seen who should not have.</summary>
    public List<string> Leaks { get; } = [];

    public async Task RunAsync()
    {
        switch (fault.Work)
        {
            case Work.Read or Work.ReadOnly:
                await ReadAsync();
                break;
            case Work.Save:
                await SaveAsync();
                break;
            case Work.Open:
                await OpenAsync();
                break;
            case Work.Transaction:
                await RetryingAsync(TransactAsync);
                break;
            case Work.Dapper:
                See(
                    fault.Async
                        ? await context.Database.GetDbConnection().QueryAsync<string>(Names(ct))
                        : context.Database.GetDbConnection().Query<string>(Names(ct))
                );
                break;
            case Work.Scope:
                await RetryingAsync(ScopeAsync);
                break;
            case Work.TenantConnection:
                await using (var connection = await app.Connections.OpenTenantConnectionAsync(_tenant.Id, ct))
                {
                    See(await connection.QueryAsync<string>(Names(ct)));
                }

                break;
        }
    }

    /// <summary>Reads all rows, and notes those that are not the tenant's.</summary>
    public async Task ReadAsync()
    {
        var rows = context.Canaries.AsNoTracking().Select(c => c.Tenant);
        See(fault.Async ? await rows.ToListAsync(ct) : rows.ToList());
    }

    private async Task SaveAsync()
    {
        context.ChangeTracker.Clear();
        for (var i = 0; i < 2; i++)
        {
            context.Canaries.Add(new Canary { Tenant = _tenant.Slug, Writer = _tenant.Slug });
        }

        _ = fault.Async ? await context.SaveChangesAsync(ct) : context.SaveChanges();
    }

    private async Task OpenAsync()
    {
        if (fault.Async)
        {
            await context.Database.OpenConnectionAsync(ct);
        }
        else
        {
            context.Database.OpenConnection();
        }

        await ReadAsync();
        await ExecuteAsync("RESET search_path");
        await ReadAsync();
        if (fault.Async)
        {
            await context.Database.CloseConnectionAsync();
        }
        else
        {
            context.Database.CloseConnection();
        }
    }

    private async Task TransactAsync()
    {
        await using var transaction = fault.Async
            ? await context.Database.BeginTransactionAsync(ct)
            : context.Database.BeginTransaction();
        await ReadAsync();
        _ = fault.Async
            ? await context.Canaries.ExecuteUpdateAsync(s => s.SetProperty(c => c.Writer, _tenant.Slug), ct)
            : context.Canaries.ExecuteUpdate(s => s.SetProperty(c => c.Writer, _tenant.Slug));
        await SaveAsync();
        await ExecuteAsync($"UPDATE {RawTable} SET writer = '{_tenant.Slug}'");
        if (fault.Async)
        {
            await transaction.RollbackAsync(ct);
        }
        else
        {
            transaction.Rollback();
        }

        await ReadAsync();
    }

    private async Task ScopeAsync()
    {
        using var scope = new TransactionScope(
            TransactionScopeOption.Required,
            new TransactionOptions { IsolationLevel = IsolationLevel.ReadCommitted },
            TransactionScopeAsyncFlowOption.Enabled
        );
        try
        {
            await ReadAsync();
            await SaveAsync();
        }
        finally
        {
            await LookRawAsync();
        }

        scope.Complete();
    }

    // What the scope's one physical connection still leads to, for somebody who is bound to nobody.
    private async Task LookRawAsync()
    {
        try
        {
            await using var raw = await app.Connections.OpenConnectionAsync(app.Name, CancellationToken.None);
            Leaks.AddRange(await raw.QueryAsync<string>($"SELECT tenant FROM {FuzzDatabase.Table}"));
        }
        catch (Exception e)
            when (e is InjectedException or NpgsqlException or NeoCommonsException or TransactionException)
        {
            // A table that is not found, a transaction that has failed, or the fault itself.
        }
    }

    private async Task ExecuteAsync(string sql) =>
        _ = fault.Async
            ? await context.Database.ExecuteSqlRawAsync(sql, None, ct)
            : context.Database.ExecuteSqlRaw(sql, None);

    private Task RetryingAsync(Func<Task> work) => context.Database.CreateExecutionStrategy().ExecuteAsync(work);

    private string RawTable =>
        fault.Binding == SchemaBinding.SearchPath ? FuzzDatabase.Table : $"\"$tenant\".{FuzzDatabase.Table}";

    private CommandDefinition Names(CancellationToken cancel) =>
        new($"SELECT tenant FROM {app.TableOf(_tenant)}", cancellationToken: cancel);

    private void See(IEnumerable<string> owners)
    {
        var seen = owners.ToList();
        Leaks.AddRange(seen.Where(owner => owner != _tenant.Slug));
        if (seen.Count < FuzzDatabase.Seeds)
        {
            Leaks.Add($"{seen.Count} rows");
        }
    }
}
